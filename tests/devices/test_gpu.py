"""GPU support on a machine without a GPU: a stub driver and stub libraries show how far MindSpore gets.

What they cannot show, that a GPU computes what a CPU does, is for `make test-gpu`.
"""

import json
import os
import re
from pathlib import Path

import pytest
from conftest import ROOT

from mindres import UserError
from mindres.compat import mindspore as private
from mindres.devices import (
    DEFAULTS,
    DEVICES,
    ascend,
    before_mindspore,
    cpu,
    gpu,
    nvcc_stub,
    nvidia_driver,
)
from mindres.devices.set_device import set_device

# Ends with one line of JSON: what became of the process's environment and libraries.
STATE = r"""
import json, os, re
maps = open("/proc/self/maps").read()
print(json.dumps({"environment": dict(os.environ),
                  "libraries": sorted({os.path.basename(path) for path in re.findall(r"/\S+\.so\S*", maps)})}))
"""


# A script that names its device, up to the training, which takes other libraries nowhere.
COMMAND = [
    str(ROOT / "examples" / "finetune_resnet50.py"),
    *["--device_target", "CPU", "--dataset", "digits", "--arch", "convnet"],
    *["--pretrained", "false", "--ckpt_dir", "ckpt"],
]


@pytest.fixture
def run_gpu(run_python, stubs, tmp_path):
    """Runs code where the stub driver and, unless `site` says otherwise, the stub libraries are to be found."""

    def run(code, *arguments, site=stubs / "site", **environment):
        return run_python(
            "-c",
            code,
            *arguments,
            **{
                "LD_LIBRARY_PATH": str(stubs / "driver"),
                "PYTHONPATH": f"{ROOT}{os.pathsep}{site}",
                "STUB_TRACE": str(tmp_path / "trace"),
                **environment,
            },
        )

    return run


def state(done):
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


def trace(tmp_path):
    path = tmp_path / "trace"
    return path.read_text().split() if path.exists() else []


@pytest.mark.parametrize("target", ["GPU", "auto"])
def test_the_plugin_is_found_chosen_and_asked_for_a_device(run_gpu, tmp_path, own_cache, target):
    done = run_gpu(f"""
import sys, mindres
assert mindres.set_device({target!r}) == "GPU"
import mindspore
print("an operator follows", file=sys.stderr, flush=True)
try:
    (mindspore.Tensor([1.0]) + 1).asnumpy()
except RuntimeError as error:
    assert "[35], stub" in str(error), error
else:
    raise AssertionError("a stub computed something")
{STATE}""")
    found = state(done)
    assert {"libmindspore_gpu.so.11.6", "libcuda_ops.so.11", *gpu.LIBRARIES} <= {
        *found["libraries"]
    }
    assert found["environment"]["CUDA_HOME"] == str(own_cache / "cuda-11.6")
    assert "cudaSetDevice" in trace(tmp_path)
    assert done.stderr.startswith("an operator follows\n"), (
        "MindSpore says nothing of libraries that it has"
    )


def test_without_set_device_the_gpu_is_mindspores_default_and_cpu_can_still_be_chosen(run_gpu):
    done = run_gpu("""
import mindres, mindspore
assert mindspore.get_context("device_target") == "GPU"
assert mindres.set_device("CPU") == "CPU"
print((mindspore.Tensor([1.0]) + 1).asnumpy())
""")
    assert (done.stdout, done.stderr) == ("[2.]\n", "")


def test_the_users_variables_win(run_gpu, tmp_path):
    home = tmp_path / "cuda-11.8"
    write_nvcc(home, "11.8")
    own = {"CUDA_HOME": str(home), "CUDA_MODULE_LOADING": "EAGER", "CUDA_CACHE_MAXSIZE": "123"}
    found = state(run_gpu(f"import mindres; mindres.set_device('GPU'){STATE}", **own))
    assert {name: found["environment"][name] for name in own} == own
    assert "libmindspore_gpu.so.11.6" in found["libraries"]
    assert trace(tmp_path)[:3] == ["cuInit", "EAGER", "123"], (
        "they were there when the driver started"
    )


@pytest.mark.parametrize("way", ["flag", "variable", "call"])
def test_a_cpu_run_is_untouched(run_gpu, stubs, tmp_path, way):
    environment = {"MINDRES_DEVICE_TARGET": "CPU"} if way == "variable" else {}
    target = "CPU" if way == "call" else "auto"
    code = f"import mindres; mindres.set_device({target!r}); import mindspore; mindspore.Tensor([1.0]) + 1{STATE}"
    if way == "flag":
        code = f"""
import runpy, sys, mindres
sys.argv = {COMMAND}
mindres.train = lambda *_, **__: print("it would train")
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
except SystemExit as end:
    assert not end.code, end.code
import mindspore
mindspore.Tensor([1.0]) + 1{STATE}"""
    done = run_gpu(code, **environment)
    assert ("it would train" in done.stdout) == (way == "flag")
    nowhere = tmp_path / "nowhere"
    without = run_gpu(
        code,
        site=nowhere / "site",
        LD_LIBRARY_PATH=str(nowhere / "driver"),
        **environment,
    )
    assert json.dumps(state(done)).replace(str(stubs), str(nowhere)) == json.dumps(state(without))
    assert (done.stderr, trace(tmp_path)) == ("", []), "not even the driver was asked"


def test_auto_without_the_libraries_is_cpu_and_one_line(run_gpu, tmp_path):
    done = run_gpu("import mindres; print(mindres.set_device())" + STATE, site=tmp_path)
    assert done.stdout.startswith("CPU\n") and not [
        n for n in state(done)["libraries"] if "mindspore_gpu" in n
    ]
    [line] = done.stderr.splitlines()
    assert line.startswith("mindres: the GPU of this machine is not used: libcudart.so.11.0, ")
    assert line.endswith("are missing: pip install 'mindres[gpu]'")
    assert "CUDA_HOME" not in state(done)["environment"]


def test_auto_says_nothing_where_there_is_no_gpu(run_gpu):
    done = run_gpu("import mindres; print(mindres.set_device())", STUB_INIT="100")
    assert (done.stdout, done.stderr) == ("CPU\n", "")


def test_a_gpu_asked_for_too_late(run_gpu):
    done = run_gpu(
        "import mindres; mindres.set_device('CPU'); import mindspore; mindres.set_device('GPU')"
    )
    assert (
        "MindSpore cannot use GPU: mindspore was imported before the GPU was chosen" in done.stderr
    )


def write_nvcc(home, release):
    nvcc = home / "bin" / "nvcc"
    nvcc.parent.mkdir(parents=True)
    nvcc.write_text(f"#!/bin/sh\necho 'Cuda compilation tools, release {release}, V{release}.1'\n")
    nvcc.chmod(0o755)


def test_a_machine_that_has_all(machine):
    assert gpu.problems() == [] and gpu.missing() is None
    assert nvidia_driver.query() == ((nvidia_driver.Gpu("Stub 0", (8, 6), 8 << 30),), None)
    assert list(gpu.find_libraries()) == list(gpu.LIBRARIES)


@pytest.mark.parametrize(
    "setting, problem",
    [
        ({"STUB_INIT": "100"}, nvidia_driver.NO_GPU),
        ({"STUB_COUNT": "0"}, nvidia_driver.NO_GPU),
        ({"STUB_INIT": "803"}, "the NVIDIA driver does not start (stub says no): see nvidia-smi"),
        (
            {"STUB_CUDA": "10020"},
            "the NVIDIA driver is for CUDA 10.2: update it to 450.80 or later",
        ),
        (
            {"STUB_MAJOR": "5"},
            "Stub 0 has compute capability 5.6, and MindSpore needs 6.0: use another GPU",
        ),
        (
            {"CUDA_HOME": "/nowhere"},
            "CUDA_HOME=/nowhere has no working bin/nvcc, without which MindSpore loads no GPU "
            "plug-in: unset CUDA_HOME",
        ),
    ],
)
def test_what_is_wrong_is_said(machine, monkeypatch, setting, problem):
    for name, value in setting.items():
        monkeypatch.setenv(name, value)
    assert gpu.problems() == [problem]
    with pytest.raises(
        UserError, match=f"^GPU was asked for, but {re.escape(problem)}; `target=CPU` works"
    ):
        set_device("GPU")


@pytest.mark.parametrize(
    "release, accepted", [("11.5", False), ("11.6", True), ("11.8", True), ("12.4", False)]
)
def test_only_a_cuda_home_that_mindspore_takes_is_accepted(
    machine, monkeypatch, tmp_path, release, accepted
):
    write_nvcc(tmp_path / "home", release)
    monkeypatch.setenv("CUDA_HOME", str(tmp_path / "home"))
    said = (
        []
        if accepted
        else [
            f"CUDA_HOME={tmp_path / 'home'} holds CUDA {release}, for which MindSpore has no GPU "
            "plug-in: unset CUDA_HOME"
        ]
    )
    assert gpu.problems() == said


def test_a_mindspore_without_the_plugin(machine, monkeypatch):
    monkeypatch.setattr(private, "gpu_plugin", lambda: None)
    assert gpu.problems() == [
        f"MindSpore lacks {private.GPU_PLUGIN}: pip install mindspore==2.10.0"
    ]


def test_a_damaged_library_is_named(machine, monkeypatch):
    damaged = next(machine.rglob("libcufft.so.10"))
    damaged.unlink()
    damaged.write_text("")
    gpu.load({"libcufft.so.10": damaged})
    assert gpu.problems() == [
        "libcufft.so.10 cannot be loaded (file too short): pip install 'mindres[gpu]'"
    ]


def test_where_libraries_are_taken_from(machine, monkeypatch, tmp_path):
    """The user's folders, then PyPI's packages, then the system; never CUDA 12's under the names of CUDA 11's."""

    def toolkit(name, *libraries):
        (tmp_path / name).mkdir(parents=True)
        for library in libraries:
            (tmp_path / name / library).write_text("")
        return tmp_path / name

    curand = next(machine.rglob("libcurand.so.10"))
    system = toolkit("system/cuda-11.7", "libcudart.so.11.0", "libcurand.so.10")
    twelve = toolkit("twelve", "libcudart.so.12", "libcurand.so.10", "libcudnn.so.8")
    eleven = toolkit("eleven/lib64", "libcudart.so.11.0", "libcurand.so.10")
    assert gpu.find_libraries()["libcurand.so.10"] == curand
    monkeypatch.setenv("LD_LIBRARY_PATH", f"/nowhere:{twelve}:")
    assert gpu.find_libraries()["libcurand.so.10"] == curand
    assert gpu.find_libraries()["libcudnn.so.8"] == twelve / "libcudnn.so.8"
    monkeypatch.setenv("CUDA_HOME", str(tmp_path / "eleven"))
    assert gpu.find_libraries()["libcurand.so.10"] == eleven / "libcurand.so.10"
    monkeypatch.delenv("CUDA_HOME")
    curand.unlink()
    assert gpu.find_libraries()["libcurand.so.10"] == system / "libcurand.so.10"
    (system / "libcudart.so.11.0").unlink()
    assert "libcurand.so.10" not in gpu.find_libraries()


def test_device_id_counts_the_devices_that_are_there(machine, monkeypatch):
    monkeypatch.setenv("STUB_COUNT", "2")
    for wrong in (-1, 2):
        with pytest.raises(
            UserError, match=f"there is no GPU {wrong} here: `device_id` counts from 0 to 1"
        ):
            set_device("GPU", wrong)


# ---- the folder that MindSpore takes for CUDA's


def test_eight_processes_at_once_share_one_cuda_home(run_python, tmp_path):
    done = run_python(
        "-c",
        """
import multiprocessing, os, sys
from pathlib import Path
from mindres.devices import nvcc_stub
import mindres.files

def make(barrier, answers, cache):
    os.environ["MINDRES_CACHE"] = cache
    barrier.wait()
    home = nvcc_stub.own_cuda_home()
    answers.put((str(home), nvcc_stub.nvcc_release(home)))

context = multiprocessing.get_context("fork")
for round in range(15):
    cache, answers, barrier = f"cache{round}", context.Queue(), context.Barrier(8)
    workers = [context.Process(target=make, args=(barrier, answers, cache)) for _ in range(8)]
    for worker in workers:
        worker.start()
    found = [answers.get() for _ in workers]
    for worker in workers:
        worker.join()
    assert found == [(cache + "/cuda-11.6", (11, 6))] * 8, found
    assert os.listdir(cache) == ["cuda-11.6"], os.listdir(cache)
print("all well")
""",
    )
    assert done.stdout == "all well\n", done.stderr[-2000:]


def test_a_cuda_home_of_ones_own_is_kept_and_is_private(own_cache):
    nvcc_stub.own_cuda_home.cache_clear()
    home = nvcc_stub.own_cuda_home()
    nvcc_stub.own_cuda_home.cache_clear()
    assert home == own_cache / "cuda-11.6" and nvcc_stub.own_cuda_home() == home
    assert {
        path.stat().st_mode & 0o777 for path in (home, home / "bin", home / "bin" / "nvcc")
    } == {0o700}


def spoil_cache(how, cache, monkeypatch):
    if how == "no home folder":
        monkeypatch.delenv("MINDRES_CACHE")
        monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
        monkeypatch.setattr(Path, "home", lambda: (_ for _ in ()).throw(RuntimeError("no home")))
    elif how == "not a folder":
        monkeypatch.setenv("MINDRES_CACHE", "/dev/null")
    elif how == "read-only":
        monkeypatch.setenv("MINDRES_CACHE", "/proc/cache")  # not even root may write there
    else:
        nvcc_stub.own_cuda_home()
        nvcc_stub.own_cuda_home.cache_clear()
        nvcc = cache / "cuda-11.6" / "bin" / "nvcc"
        if how == "others may write":
            nvcc.parent.chmod(0o777)
        elif how == "not to be run from":
            nvcc.chmod(0o600)
        elif how == "another program":
            nvcc.write_text("#!/bin/sh\necho 'Cuda compilation tools, release 11.6,'; rm -rf ~\n")


@pytest.mark.parametrize(
    "how",
    [
        "no home folder",
        "not a folder",
        "read-only",
        "others may write",
        "not to be run from",
        "another program",
    ],
)
def test_a_cache_that_will_not_do_gives_way_to_a_temporary_folder(
    own_cache, monkeypatch, tmp_path, how
):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    nvcc_stub.own_cuda_home.cache_clear()
    spoil_cache(how, own_cache, monkeypatch)
    home = nvcc_stub.own_cuda_home()
    nvcc_stub.own_cuda_home.cache_clear()
    assert tmp_path in home.parents and nvcc_stub.nvcc_release(home) == (11, 6)


def test_the_temporary_folder_goes_with_the_process(run_gpu, tmp_path):
    done = run_gpu(
        "from mindres.devices import nvcc_stub; home = nvcc_stub.own_cuda_home(); assert home.exists(); print(home)",
        MINDRES_CACHE="/dev/null",
        TMPDIR=str(tmp_path),
    )
    home = Path(done.stdout.strip())
    assert tmp_path in home.parents and not home.parent.exists()


def test_no_folder_at_all(machine, monkeypatch):
    monkeypatch.setenv("MINDRES_CACHE", "/dev/null")
    monkeypatch.setattr("tempfile.tempdir", "/proc")
    [problem] = gpu.problems()
    assert problem.endswith("set MINDRES_CACHE to a folder that can be written to and run from")


# ---- Ascend, which no test here can run on


def test_how_each_device_is_trained_on():
    assert {*DEFAULTS} == {*DEVICES} - {"auto"}
    assert DEFAULTS["CPU"] == ("graph", False, "O0")
    for device in ("GPU", "Ascend"):
        assert DEFAULTS[device] == ("graph", True, "O2")


@pytest.mark.parametrize("device", ["CPU", "GPU", "Ascend"])
def test_auto_mixed_precision_is_the_devices(monkeypatch, device):
    import mindspore

    from mindres.native.precision import resolve_amp

    monkeypatch.setattr(mindspore, "get_context", lambda name: device)
    assert resolve_amp("auto") == DEFAULTS[device].amp_level
    if device != "CPU":  # where there are two levels only
        assert [resolve_amp(level) for level in ("O0", "O2", "O3")] == ["O0", "O2", "O3"], (
            "what is asked for is taken"
        )


def test_the_training_script_takes_a_device_id(ascends, run_example):
    done = run_example("finetune_resnet50.py", "--device_target", "Ascend", "--device_id", "4")
    assert (
        done.stderr == "mindres: error: there is no Ascend 4 here: --device_id counts from 0 to 3\n"
    )
    assert done.returncode == 2
    done = run_example("finetune_resnet50.py", "--device_id", "-1")
    assert (
        done.returncode == 2
        and "--device_id: must be a whole number of at least 0, not '-1'" in done.stderr
    )


@pytest.fixture
def ascends(monkeypatch):
    """Four Ascend processors, and what MindSpore is told of them."""
    import mindspore

    told = []
    monkeypatch.setattr(ascend, "count", lambda: 4)
    monkeypatch.setattr(before_mindspore, "asked_for", None)
    monkeypatch.setattr(cpu, "lift_limit", lambda: None)
    monkeypatch.setattr(mindspore, "set_device", lambda *arguments: told.append(arguments))
    monkeypatch.setenv("ASCEND_HOME_PATH", "/opt/cann")
    return told


def test_ascend_is_taken_first_and_by_number(ascends):
    assert set_device("auto") == "Ascend"
    assert set_device("Ascend", 3) == "Ascend"
    assert ascends == [("Ascend", None), ("Ascend", 3)]
    with pytest.raises(
        UserError, match="there is no Ascend 4 here: `device_id` counts from 0 to 3"
    ):
        set_device("Ascend", 4)


def test_ascend_without_cann(ascends, monkeypatch, capsys):
    monkeypatch.delenv("ASCEND_HOME_PATH")
    if Path("/usr/local/Ascend").exists():
        pytest.skip("CANN is here")
    assert "CANN is not installed" in ascend.missing()
    monkeypatch.setattr(gpu, "problems", lambda: [nvidia_driver.NO_GPU])
    assert set_device("auto") == "CPU"
    assert capsys.readouterr().err.startswith(
        "mindres: the Ascend of this machine is not used: CANN is not installed"
    )
