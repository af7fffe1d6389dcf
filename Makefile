# make demo   train ResNet-50 on scikit-learn's handwritten digits and draw its predictions
# make test   lint, check types, and run every test, one more at a time than there are cores (JOBS=4: four)
# make test T=wide   only the tests whose names have this word; T='resnext or wide' for either, see pytest -k
# make lint   ruff check, ruff format --check, codespell        make types   mypy
# make coverage   run every test and say which lines of mindres none of them runs
# make docs   the documentation as pages in build/docs/, which work from disk; links that lead nowhere are errors
# make test-docs   run every command of the documentation, small, and both notebooks
# make test-browser   open the pages of a run and of the server in Chromium, which apt-get installs where it is missing
# make test-long   kill a training run twenty times and compare; train every family in bfloat16 beside PyTorch;
#                  the answers to 2,000 images by five ways
# make test-faults   attack it: kills, full disks, hostile files and servers; prints the table (TRIES=10: ten times as long)
# make test-oldest   make test with the oldest dependencies that setup.py allows, in .venv-oldest
# make test-gpu   on a machine with an NVIDIA driver: what only a GPU can show, and the benchmark against PyTorch
# All create .venv first if it is not there; PYTHON=... names another interpreter.

VENV := .venv
BIN := $(VENV)/bin
FITS := import sys, venv, ensurepip; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))
PYTHON ?= $(shell for p in python3 python3.12 python3.11 python3.10; do \
	$$p -c "$(FITS)" >/dev/null 2>&1 && echo $$p && break; done)

TRIES ?= 1
# One more than there are cores: tests wait for processes, servers and disks a fifth of their time.
JOBS ?= $(shell n=$$(nproc 2>/dev/null) && expr $$n + 1 || echo auto)
SIDE_BY_SIDE := -n $(JOBS) --dist worksteal

.PHONY: demo test lint types coverage docs test-docs test-browser test-long test-faults test-oldest test-gpu clean

demo: $(VENV)/.installed
	$(BIN)/python examples/finetune_resnet50.py --device_target CPU --dataset digits --pretrained false \
		--epochs 8 --lr 0.003
	$(BIN)/python examples/visualize_predictions.py --ckpt ckpt/best.ckpt --out ckpt/predictions.png

# Types are checked beside the tests: that takes one core for a quarter of a minute in a fresh copy.
test: lint
	@$(BIN)/mypy & types=$$!; \
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) $(if $(T),-k "$(T)"); tests=$$?; \
	wait $$types && exit $$tests

lint: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell

types: $(VENV)/.installed-test
	$(BIN)/mypy

coverage: $(VENV)/.installed-test
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) --cov --cov-report=term-missing:skip-covered

docs: $(VENV)/.installed-test
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "build/docs/index.html"

test-docs: $(VENV)/.installed-test
	$(BIN)/python -m pytest tests/docs/commands.py tests/docs/notebooks.py

test-browser: $(VENV)/.installed-test
	@command -v chromium >/dev/null || command -v google-chrome >/dev/null || { \
		test "$$(id -u)" = 0 || { echo "make: no Chromium was found: apt-get install chromium" >&2; exit 2; }; \
		apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -yq --no-install-recommends chromium; }
	$(BIN)/python -m pytest tests/report/browser_report.py tests/serve/browser_page.py

test-long: $(VENV)/.installed-test
	TEST_KILLS=20 $(BIN)/python -m pytest tests/training/test_runs.py
	TEST_LONG=1 $(BIN)/python -m pytest -s tests/native/test_bfloat16_parity.py tests/export/test_five_ways.py

test-faults: $(VENV)/.installed-test
	$(BIN)/python tests/faults --scale $(TRIES)

test-oldest:
	$(MAKE) VENV=.venv-oldest .venv-oldest/.installed-test
	.venv-oldest/bin/python -m pip install --disable-pip-version-check -q $$(.venv-oldest/bin/python tests/oldest.py)
	.venv-oldest/bin/python -m pip check
	.venv-oldest/bin/python -m pytest $(SIDE_BY_SIDE)

test-gpu: $(VENV)/.installed-gpu
	$(BIN)/python -m mindres doctor --device_target GPU
	$(BIN)/python -m pytest tests_gpu
	$(BIN)/python -m benchmarks.gpu

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "make: no Python 3.10 to 3.12 with its venv module was found;" \
		"on Debian: apt-get install python3-venv, or name one with PYTHON=/path/to/python3" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(BIN)/python setup.py
	$(BIN)/python -m pip install --disable-pip-version-check -q -e .
	@touch $@

$(VENV)/.installed-test: $(BIN)/python setup.py
	$(BIN)/python -m pip install --disable-pip-version-check -q -e '.[test]'
	@touch $@ $(VENV)/.installed

$(VENV)/.installed-gpu: $(BIN)/python setup.py
	$(BIN)/python -m pip install --disable-pip-version-check -q -e '.[test,gpu]'
	@touch $@ $(VENV)/.installed $(VENV)/.installed-test

clean:
	rm -rf $(VENV) .venv-oldest .cache build *.egg-info .coverage* .mypy_cache
