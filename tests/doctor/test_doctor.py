"""What `mindres doctor` says of this machine, of one with a stub driver, and of processes that end badly."""

import json
import os
import socket
from importlib.metadata import version

import numpy as np
import pytest
from conftest import ROOT

from mindres.devices import cpu, gpu, nvidia_driver
from mindres.doctor import machine as machine_facts, trial
from mindres.doctor.report import report as make_report
from mindres.doctor.text import format_report

UNTRAINED = {"target": "auto", "device": None, "ok": False, "problem": "not tried"}


@pytest.fixture
def looks_only(monkeypatch):
    """`report` without the trial run."""
    monkeypatch.setattr(
        trial, "training", lambda target, environment: {**UNTRAINED, "target": target}
    )


def lines(report):
    """{name: (whether it is marked as wrong, text)} of a report for reading; names that come twice keep the last."""
    found = {}
    for line in format_report(report).splitlines():
        assert line[:2] in ("  ", "! ")
        found[line[2:20].strip()] = (line[0] == "!", line[21:])
    return found


def test_this_machine(monkeypatch):
    if nvidia_driver.driver():
        pytest.skip("there is an NVIDIA driver")
    monkeypatch.setenv("MINDRES_NATIVE", "0")  # to compile it takes ten times as long as the rest
    before = dict(os.environ)
    report = json.loads(json.dumps(make_report("CPU")))
    assert dict(os.environ) == before
    assert report["training"]["ok"] and report["training"]["device"] == "CPU"
    assert report["training"]["native_convolution"] == "MINDRES_NATIVE=0 switches it off"
    first, second = report["training"]["losses"]
    assert second < first
    assert report["versions"]["numpy"]["installed"] == np.__version__
    assert report["versions"]["mindspore"] == {
        "installed": version("mindspore"),
        "tested": "2.10.0",
        "problem": None,
    }
    assert report["gpu"]["problem"] == nvidia_driver.NO_DRIVER and report["gpu"]["gpus"] == []
    assert {"name": "MINDRES_NATIVE", "value": "0"}.items() <= report["settings"][-1].items()
    text = lines(report)
    assert text["setting"] == (False, "MINDRES_NATIVE=0; 0 switches the native CPU operators off")
    assert text["training"] == (
        False,
        f"CPU trains: a small network's loss fell from {first:.3f} to {second:.3f}",
    )
    assert text["GPU"] == (False, nvidia_driver.NO_DRIVER), (
        "a machine without a GPU has nothing wrong with it"
    )
    assert not any(name.startswith("libcu") for name in text)


@pytest.mark.parametrize(
    "needed, cap, wrong, said",
    [
        (True, "AVX2", False, "ONEDNN_MAX_CPU_ISA=AVX2; limited to AVX2 on CPU: with AVX-512"),
        (True, None, False, "ONEDNN_MAX_CPU_ISA is not set; limited to AVX2 on CPU"),
        (True, "AVX512_CORE", True, "ONEDNN_MAX_CPU_ISA=AVX512_CORE: unset it"),
        (False, None, False, "not needed: this processor has no AVX-512"),
    ],
)
def test_the_onednn_cap_and_why(looks_only, monkeypatch, needed, cap, wrong, said):
    monkeypatch.setenv(cpu.ISA, cap or "")
    if not cap:
        monkeypatch.delenv(cpu.ISA)
    monkeypatch.setattr(cpu, "onednn_needs_limit", lambda: needed)
    marked, text = lines(make_report())["oneDNN"]
    assert marked == wrong and said in text


def test_each_missing_library_has_its_own_line(machine, looks_only):
    absent = ["libcufft.so.10", "libcudnn.so.8"]
    for name in absent:
        next(machine.rglob(name)).unlink()
    damaged = next(machine.rglob("libcurand.so.10"))
    damaged.unlink()
    damaged.write_text("")
    text = lines(make_report("GPU"))
    for name, package in gpu.LIBRARIES.items():
        marked, said = text[name]
        if name in absent:
            assert (marked, said) == (True, "missing: pip install 'mindres[gpu]'")
        elif name == damaged.name:
            assert marked and said.endswith(
                "cannot be loaded (file too short): pip install 'mindres[gpu]'"
            )
        else:
            assert (
                not marked
                and said.startswith(f"nvidia-{package}-cu11")
                and said.endswith(f"/{name}")
            )
    marked, said = text["GPU"]
    assert marked and said.startswith("libcufft.so.10, libcudnn.so.8 are missing: pip install")
    assert text["GPU 0"] == (False, "Stub 0; compute capability 8.6; 8.0 GiB")
    assert text["NVIDIA driver"] == (False, "for CUDA 12.4")


def test_a_system_library_is_said_to_be_the_systems(machine, looks_only, monkeypatch, tmp_path):
    curand = next(machine.rglob("libcurand.so.10"))
    system = tmp_path / "elsewhere"
    system.mkdir()
    for name in ("libcudart.so.11.0", "libcurand.so.10"):
        (system / name).symlink_to(next(machine.rglob(name)).resolve())
    curand.unlink()
    monkeypatch.setenv("LD_LIBRARY_PATH", str(system))
    assert lines(make_report("GPU"))["libcurand.so.10"] == (
        False,
        f"the system; {system / 'libcurand.so.10'}",
    )


def test_numpy_2_and_a_package_that_is_not_there(looks_only, monkeypatch):
    def installed(name):
        if name == "mindvision":
            raise machine_facts.PackageNotFoundError
        return "2.1.0"

    monkeypatch.setattr(machine_facts, "version", installed)
    text = lines(make_report())
    assert text["mindvision"] == (True, "tested with 0.1.0; missing: pip install mindvision==0.1.0")
    assert text["numpy"][0] and text["numpy"][1].endswith("pip install 'numpy<2'")


def test_what_keeps_two_workers_from_starting(monkeypatch, tmp_path):
    msrun = tmp_path / "msrun"
    msrun.write_text("#!/bin/sh\n")
    msrun.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setattr(machine_facts, "MSRUN_PORT", taken.getsockname()[1])
        assert "name another with msrun --master_port" in machine_facts.workers()["problem"]
    assert machine_facts.workers() == {
        "msrun": str(msrun),
        "port": machine_facts.MSRUN_PORT,
        "problem": None,
    }
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    assert (
        machine_facts.workers()["problem"] == f"msrun is not on PATH: export PATH={tmp_path}:$PATH"
    )


def test_caches_and_their_sizes(own_cache, monkeypatch, tmp_path):
    (own_cache / "deep").mkdir()
    (own_cache / "deep" / "file").write_bytes(b"x" * 1000)
    (own_cache / "file").write_bytes(b"x" * 24)
    (own_cache / "dangling").symlink_to("nowhere")
    monkeypatch.setenv("CUDA_CACHE_PATH", str(tmp_path / "none"))
    mine, kernels = machine_facts.caches()
    assert (mine["path"], mine["bytes"]) == (str(own_cache), 1024 + len("nowhere"))
    assert (kernels["path"], kernels["bytes"]) == (str(tmp_path / "none"), 0)


def test_cann_is_found(monkeypatch, tmp_path):
    monkeypatch.setenv("ASCEND_HOME_PATH", str(tmp_path))
    assert machine_facts.cann() is None
    (tmp_path / "compiler").mkdir()
    (tmp_path / "compiler" / "version.info").write_text("Name=x\nVersion=8.3.RC1\n")
    assert machine_facts.cann() == "8.3.RC1"


@pytest.mark.parametrize(
    "code, problem",
    [
        ("import os; os.abort()", "the process was killed by SIGABRT"),
        (
            "raise ImportError('no module named mindspore')",
            "ImportError: no module named mindspore",
        ),
        (
            "from mindres import UserError; raise UserError('GPU was asked for')",
            "GPU was asked for",
        ),
        (
            r"raise RuntimeError('\n---\n- Cuda error:\n---\nout of it\n\n---\n- C++ Call Stack:\n---\na.cc:1')",
            "out of it",
        ),
        ("raise SystemExit(3)", "exit status 3"),
    ],
)
def test_however_the_trial_run_ends_it_is_a_diagnosis(run_python, code, problem):
    done = run_python("-c", code)
    assert trial.cause(done.returncode, done.stderr) == problem


def test_a_device_that_computes_nonsense_is_found_out(monkeypatch):
    import mindspore

    from mindres import UserError

    class Nonsense(mindspore.nn.Cell):
        def construct(self, image, label):
            return mindspore.Tensor(float("nan"))

    monkeypatch.setattr("mindspore.amp.build_train_network", lambda *_, **__: Nonsense())
    with pytest.raises(
        UserError, match="CPU does not learn: the loss of a small network went from nan to nan"
    ):
        trial.train_one_step("CPU")


@pytest.mark.parametrize("ok, status", [(True, 0), (False, 1)])
def test_the_command(monkeypatch, capsys, ok, status):
    from mindres.cli import program

    trained = {
        "target": "CPU",
        "device": "CPU",
        "ok": ok,
        "problem": None if ok else "broken",
        "losses": [1.0, 0.5],
        "native_convolution": "MINDRES_NATIVE=0 switches it off",
    }
    monkeypatch.setattr(trial, "training", lambda target, environment: trained)
    assert program.run_command(["doctor", "--device_target", "CPU"]) == status
    convolution, last = capsys.readouterr().out.splitlines()[-2:]
    assert convolution == "  native convolution MINDRES_NATIVE=0 switches it off"
    assert last == (
        "  training           CPU trains: a small network's loss fell from 1.000 to 0.500"
        if ok
        else "! training           CPU cannot train: broken"
    )
    assert program.run_command(["doctor", "--json"]) == status
    assert json.loads(capsys.readouterr().out)["training"] == trained


def test_a_stub_gpu_cannot_train_and_the_reason_is_its_own(run_python, stubs):
    done = run_python(
        "-m",
        "mindres",
        "doctor",
        "--device_target",
        "GPU",
        "--json",
        LD_LIBRARY_PATH=str(stubs / "driver"),
        PYTHONPATH=f"{ROOT}{os.pathsep}{stubs / 'site'}",
    )
    report = json.loads(done.stdout)
    assert (done.returncode, done.stderr) == (1, "") and report["gpu"]["problem"] is None
    assert (
        report["training"]["problem"] == "The cudaGetLastError[35], stub"
        and not report["training"]["ok"]
    )
    assert lines(report)["training"] == (True, "GPU cannot train: The cudaGetLastError[35], stub")


def test_everybody_names_the_same_versions_of_python():
    tested = machine_facts.TESTED["Python"].split(", ")
    minors = [int(version.removeprefix("3.")) for version in tested]
    first, last = minors[0], minors[-1]
    assert minors == list(range(first, last + 1))
    for file, said in {
        "setup.py": f'python_requires=">=3.{first},<3.{last + 1}"',
        "pyproject.toml": f'target-version = "py3{first}"',
        "Makefile": f"(3, {first}) <= sys.version_info[:2] <= (3, {last})",
        "CONTRIBUTING.md": f"Python 3.{first} to 3.{last}",
        "README.md": f"Python 3.{first} to 3.{last}",
    }.items():
        assert said in (ROOT / file).read_text(encoding="utf-8"), file
