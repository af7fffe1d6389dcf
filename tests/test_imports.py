"""What `import mindres` gives and does: every spelling of a network's name, and a prepared process."""

import json
import os
import subprocess
import sys
from itertools import permutations

import pytest
from conftest import ROOT, clean_environment

from mindres.compat import module_names
from mindres.devices import cpu

SPELLINGS = {
    "attribute": "import mindres; assert isinstance(mindres.resnet50, types.FunctionType)",
    "from package": "from mindres import resnet50; assert isinstance(resnet50, types.FunctionType)",
    "module": "import mindres.resnet50; assert isinstance(mindres.resnet50, types.FunctionType)",
    "from module": "from mindres.resnet50 import resnet50; assert isinstance(resnet50, types.FunctionType)",
}
ALL_ORDERS = """
import importlib, itertools, sys, types

def fresh():
    for name in [name for name in sys.modules if name.partition(".")[0] == "mindres"]:
        del sys.modules[name]

for order in itertools.permutations(SPELLINGS.values()):
    fresh()
    space = {"types": types}
    for statement in order:
        exec(statement, space)
        function = sys.modules["mindres"].resnet50
        assert isinstance(function, types.FunctionType) and space.get("resnet50", function) is function, order

import mindres
for name in ["resnet18", "resnet34", "resnet101", "resnet152"]:
    module = importlib.import_module(f"mindres.{name}")
    assert isinstance(module, types.ModuleType) and module is not getattr(mindres, name)
    assert getattr(module, name) is getattr(mindres, name) and getattr(mindres, name).__name__ == name
    assert module.ResidualBlock.expansion == 4, "the family's other names are there too"
import mindres.models.resnet
assert isinstance(mindres.models.resnet, types.ModuleType) and mindres.models.resnet.resnet50 is mindres.resnet50
print("all well")
"""


def start(code):
    return subprocess.Popen(
        [sys.executable, "-c", code],
        env=clean_environment(),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def test_each_spelling_comes_first_in_a_fresh_interpreter():
    """The attribute does so in the next test."""
    running = {
        first: start(
            "import types\n"
            + "\n".join([SPELLINGS[first], *SPELLINGS.values()])
            + "\nprint('well')"
        )
        for first in list(SPELLINGS)[1:]
    }
    for first, process in running.items():
        assert (*process.communicate(timeout=120), process.returncode) == ("well\n", "", 0), first


def test_spellings_work_in_every_order_and_for_every_resnet(run_python):
    # Only mindres is forgotten between the orders: to import MindSpore 24 times would take a minute.
    assert len(list(permutations(SPELLINGS))) == 24
    done = run_python("-c", f"SPELLINGS = {SPELLINGS!r}\n{ALL_ORDERS}")
    assert done.stdout == "all well\n", done.stderr[-2000:]


def test_a_name_that_is_not_there():
    import mindres

    with pytest.raises(AttributeError, match="module 'mindres' has no attribute 'resnet51'"):
        mindres.resnet51  # noqa: B018
    with pytest.raises(ImportError, match="resnet51"):
        from mindres import resnet51  # noqa: F401
    assert {"resnet50", "train", "UserError"} <= {*dir(mindres)}


def test_who_looks_through_all_modules_imports_nothing():
    # `inspect` does, also while PyTorch is imported.
    module = module_names.StandInModule("mindres.resnet", "mindres.no_such_module")
    assert not hasattr(module, "__file__")
    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        module.resnet50  # noqa: B018


def test_every_public_name_can_be_had():
    import mindres

    for name in mindres.__all__:
        assert callable(getattr(mindres, name)), name


@pytest.mark.parametrize("isa", [None, "AVX2"])
def test_mindspore_first_is_warned_about_once_in_one_line(run_python, isa):
    environment = {"ONEDNN_MAX_CPU_ISA": isa} if isa else {}
    done = run_python(
        "-c", "import mindspore, mindres; import mindres.resnet50; mindres.resnet50", **environment
    )
    assert done.returncode == 0 and done.stdout == ""
    [line] = done.stderr.splitlines()
    assert line.startswith("mindres: warning: mindspore was imported before mindres")
    assert "GPU libraries" in line and line.endswith("import mindres first")
    assert ("ONEDNN_MAX_CPU_ISA" in line) == (isa is None and "avx512f" in cpu.instruction_sets())


# Each case: instruction sets, devices that `set_device` is asked for, environment, and what
# ONEDNN_MAX_CPU_ISA is when MindSpore has been imported.
AVX512 = ["sse2", "avx2", "avx512f"]
LIMIT = {
    "avx512": (AVX512, [], {}, "AVX2"),
    "avx512, CPU asked for": (AVX512, ["CPU"], {}, "AVX2"),
    "avx512, auto": (AVX512, ["auto"], {}, "AVX2"),
    "no avx512": (["sse2", "avx2"], [], {}, None),
    "not an x86 processor": ([], [], {}, None),
    "the user's own": (AVX512, [], {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE"}, "AVX512_CORE"),
    "the user's own, CPU": (AVX512, ["CPU"], {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE"}, "AVX512_CORE"),
    "the user's own, GPU": (AVX512, ["GPU"], {"ONEDNN_MAX_CPU_ISA": "AVX2"}, "AVX2"),
    "the user's own, empty": (AVX512, [], {"ONEDNN_MAX_CPU_ISA": ""}, ""),
    "GPU": (AVX512, ["GPU"], {}, None),
    "Ascend": (AVX512, ["Ascend"], {}, None),
    "GPU by variable": (AVX512, [], {"MINDRES_DEVICE_TARGET": "GPU"}, None),
    "GPU by variable, auto": (AVX512, ["auto"], {"MINDRES_DEVICE_TARGET": "GPU"}, None),
    "the call beats the variable": (AVX512, ["CPU"], {"MINDRES_DEVICE_TARGET": "GPU"}, "AVX2"),
    "changed to GPU": (AVX512, ["CPU", "GPU"], {}, None),
    "changed to CPU": (AVX512, ["GPU", "CPU"], {}, "AVX2"),
}


@pytest.fixture(scope="module")
def limits():
    """The limit in each case, from an interpreter whose MindSpore takes every device."""
    code = """
import json, os, sys, types
from mindres.devices import ascend, before_mindspore, cpu, gpu, set_device
gpu.missing = ascend.missing = lambda: None
ascend.count = lambda: 0
gpu.count = lambda: 1
gpu.prepare = lambda: None
set_device._tune_gpu = set_device._tell_mindspore = lambda *_: None
set_device._usable = lambda target: os.environ.get("MINDRES_DEVICE_TARGET") == target
found, before = {}, dict(os.environ)
cases = json.loads(sys.argv[1])
sys.argv = ["another_program.py", "--device_target", "GPU"]  # whose arguments are its own
for name, (flags, devices, environment, _) in cases.items():
    os.environ.clear()
    os.environ.update({k: v for k, v in before.items() if k != cpu.ISA}, **environment)
    before_mindspore.asked_for, cpu._limit_is_ours = None, False
    cpu.instruction_sets = lambda: set(flags)
    before_mindspore.prepare()
    for device in devices:
        set_device.set_device(device)
        before_mindspore.prepare()
    found[name] = os.environ.get(cpu.ISA)
print(json.dumps(found))
"""
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps(LIMIT)],
        env=clean_environment(),
        text=True,
        capture_output=True,
        check=True,
    )
    return json.loads(done.stdout)


@pytest.mark.parametrize("case", LIMIT)
def test_onednn_limit(limits, case):
    assert limits[case] == LIMIT[case][3]


def test_the_limit_follows_the_real_processor(run_python):
    show = "print(os.environ.get('ONEDNN_MAX_CPU_ISA'))"
    done = run_python("-c", f"import os, mindres; {show}; import mindspore; {show}")
    alone, with_mindspore = done.stdout.split()
    assert alone == "None", "to import mindres decides nothing"
    assert with_mindspore == ("AVX2" if "avx512f" in cpu.instruction_sets() else "None")


def test_this_repository_is_what_is_tested():
    import mindres

    # An installed copy would pass for the files beside these tests.
    assert os.path.samefile(ROOT / "mindres", os.path.dirname(mindres.__file__))
