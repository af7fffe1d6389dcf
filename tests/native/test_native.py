"""The native convolution against MindSpore's own, and that nothing depends on its being there."""

import concurrent.futures
import copy
import ctypes
import gc
import os
import shutil
import subprocess
import sys
import weakref
import zipfile

import mindspore
import numpy as np
import pytest
from conftest import ROOT, clean_environment
from mindspore import nn
from small_networks import resnet8

from mindres.devices import cpu
from mindres.native import build, geometry, library
from mindres.native.accelerate import accelerated
from mindres.native.networks import NativeConv2d

ABSENT = library.why_not()
needs_native = pytest.mark.skipif(ABSENT is not None, reason=f"no native convolution: {ABSENT}")
random = np.random.default_rng(0)

# (in, out channels, kernel, stride, pad_mode, padding, dilation, group, has_bias, (batch, height, width))
CASES = [
    (16, 16, 3, 1, "same", 0, 1, 1, False, (4, 32, 32)),
    (64, 64, 3, 1, "same", 0, 1, 1, False, (2, 8, 8)),
    (3, 16, 3, 2, "same", 0, 1, 1, True, (2, 15, 17)),
    (3, 64, 7, 2, "same", 0, 1, 1, False, (2, 32, 32)),
    (3, 64, 7, 2, "pad", 3, 1, 1, False, (1, 33, 32)),
    (64, 256, 1, 1, "same", 0, 1, 1, False, (2, 8, 8)),
    (64, 128, 1, 2, "same", 0, 1, 1, False, (2, 9, 9)),
    (64, 128, 1, 2, "valid", 0, 1, 1, True, (2, 8, 8)),
    (32, 48, 3, 2, "pad", 1, 2, 2, False, (3, 17, 17)),
    (8, 8, 3, 1, "pad", 1, 1, 8, False, (2, 9, 9)),
    (128, 128, 3, 1, "pad", 1, 1, 32, False, (2, 14, 14)),
    (256, 256, 3, 2, "pad", 1, 1, 32, True, (2, 9, 9)),
    (32, 32, 3, 1, "same", 0, 1, 16, False, (2, 7, 7)),
    (24, 24, 3, 1, "same", 0, 1, 3, True, (2, 7, 7)),
    (64, 128, 3, 1, "same", 0, 1, 8, False, (2, 7, 7)),
    (12, 24, 5, 3, "pad", (2, 1, 0, 3), 1, 3, True, (2, 14, 11)),
    (5, 7, (3, 1), (1, 2), "same", 0, (2, 1), 1, True, (1, 12, 10)),
    (6, 10, (1, 7), 1, "pad", (0, 0, 3, 3), 1, 2, False, (2, 6, 13)),
    (1, 6, 5, 1, "valid", 0, 1, 1, True, (2, 28, 28)),
    (17, 1, 2, 2, "same", 0, 1, 1, True, (1, 7, 7)),
    (2048, 512, 1, 1, "same", 0, 1, 1, False, (2, 1, 1)),
]


def outputs_and_gradients(net, images, weights):
    """`net(images)`, and the gradients of `weights` times it with respect to the images and each parameter."""

    def scalar(x):
        return (net(x) * weights).sum()

    _, (dx, parameters) = mindspore.value_and_grad(scalar, 0, net.trainable_params())(images)
    return [net(images).asnumpy(), dx.asnumpy(), *(p.asnumpy() for p in parameters)]


def tensor(*shape):
    return mindspore.Tensor(random.standard_normal(shape, np.float32))


def assert_close(ours, theirs, bound=1e-5):
    for i, (a, b) in enumerate(zip(ours, theirs, strict=True)):
        assert a.shape == b.shape
        assert np.abs(a - b).max() <= bound * np.abs(b).max(), f"output {i}"


@pytest.fixture
def mode():
    before = mindspore.get_context("mode")
    yield lambda mode: mindspore.set_context(mode=mode)
    mindspore.set_context(mode=before)


@needs_native
@pytest.mark.parametrize("case", CASES, ids=str)
def test_equals_mindspore(case):
    *options, (batch, height, width) = case
    net = nn.Conv2d(*options[:8], has_bias=options[8], bias_init="normal")
    images = tensor(batch, options[0], height, width)
    weights = tensor(*net(images).shape)
    theirs = outputs_and_gradients(net, images, weights)
    with accelerated(net):
        assert isinstance(net, NativeConv2d)
        assert_close(outputs_and_gradients(net, images, weights), theirs)


@needs_native
def test_a_network_in_graph_mode(mode):
    mode(mindspore.GRAPH_MODE)
    mindspore.set_seed(0)
    net = resnet8()
    images, labels = (
        tensor(8, 3, 32, 32),
        mindspore.Tensor(random.integers(0, 10, 8), mindspore.int32),
    )
    net.set_train(False)
    inferred = net(images).asnumpy()

    def two_steps(*inside):
        trained = copy.deepcopy(net)
        optimizer = nn.SGD(trained.trainable_params(), 0.1)
        step = nn.TrainOneStepCell(
            nn.WithLossCell(trained, nn.CrossEntropyLoss()), optimizer
        ).set_train()
        with accelerated(*inside, *([trained] if inside else [])):
            losses = [float(step(images, labels)) for _ in range(2)]
            assert isinstance(trained.backbone.conv1.features[0], NativeConv2d) == bool(inside)
        assert [p.name for p in trained.get_parameters()] == [p.name for p in net.get_parameters()]
        assert type(trained.backbone.conv1.features[0]) is nn.Conv2d
        return losses

    # Rounding grows with a step of so high a rate: 1.6e-4 was seen.
    losses = two_steps(net)
    mode(mindspore.PYNATIVE_MODE)  # which has no graph to compile
    assert losses == pytest.approx(two_steps(), rel=1e-3)
    mode(mindspore.GRAPH_MODE)
    with accelerated(net):
        ours = net(images).asnumpy()
    assert not np.array_equal(ours, inferred), (
        "the graph that was compiled without the operator was used again"
    )
    assert_close([ours], [inferred], 1e-4)


@needs_native
def test_unlike_convolutions_of_equal_shapes_in_one_graph(mode):
    mode(mindspore.GRAPH_MODE)
    net = nn.SequentialCell(
        nn.Conv2d(3, 3, 3),
        nn.Conv2d(3, 3, 3, pad_mode="valid"),
        nn.Conv2d(3, 3, 3, has_bias=True, bias_init="normal"),
        nn.Conv2d(3, 3, 3, stride=2),
        nn.Conv2d(3, 3, 3, dilation=2),
    )
    images = tensor(2, 3, 12, 12)
    weights = tensor(2, 3, 5, 5)
    theirs = outputs_and_gradients(net, images, weights)
    with accelerated(net):
        assert_close(outputs_and_gradients(net, images, weights), theirs)


@needs_native
def test_another_number_type_takes_mindspores_way():
    net = nn.Conv2d(4, 4, 3).to_float(mindspore.float16)
    images = tensor(1, 4, 8, 8)
    theirs = net(images).asnumpy()
    with accelerated(net):
        ours = net(images)
    assert ours.dtype == mindspore.float16
    np.testing.assert_array_equal(ours.asnumpy(), theirs)


@needs_native
def test_blocks_nest_and_end_with_an_exception():
    net = nn.SequentialCell(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3))
    with pytest.raises(KeyError, match="wrong"), accelerated(net, net):
        with accelerated(net):
            assert all(isinstance(cell, NativeConv2d) for cell in net)
        assert all(isinstance(cell, NativeConv2d) for cell in net)
        raise KeyError("wrong")
    assert {type(cell) for cell in net} == {nn.Conv2d}
    assert not hasattr(net[0], "native")
    copy.deepcopy(net)


@needs_native
def test_threads_share_it():
    functions = ctypes.CDLL(str(library.load().path))
    settings = geometry.settings(nn.Conv2d(1, 1, 3), 0).asnumpy()
    expected = {}

    def run(seed):
        rng = np.random.default_rng(seed)
        # New shapes in every thread at once, so that plans are made while others run.
        x = rng.standard_normal((2, 8 + seed % 5, 9, 9), np.float32)
        w = rng.standard_normal((16, x.shape[1], 3, 3), np.float32)
        y = np.empty((2, 16, 9, 9), np.float32)
        arrays = [x, w, settings, y]
        data = (ctypes.c_void_p * 4)(*(a.ctypes.data for a in arrays))
        dims = [(ctypes.c_int64 * a.ndim)(*a.shape) for a in arrays]
        shapes = (ctypes.c_void_p * 4)(*(ctypes.addressof(d) for d in dims))
        for _ in range(20):
            y.fill(np.nan)
            assert functions.convolution(4, data, None, shapes, None, None, None) == 0
        return x, w, y

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        for x, w, y in pool.map(run, range(24)):
            theirs = mindspore.ops.conv2d(
                mindspore.Tensor(x), mindspore.Tensor(w), pad_mode="same"
            ).asnumpy()
            assert_close([y], [theirs])
            expected[x.shape] = True
    assert len(expected) == 5


def script(path, text):
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def compiler(tmp_path):
    """Takes a second and hands out the library that this process has."""
    return script(
        tmp_path / "compiler",
        f"""sleep 1
while [ "$1" != -o ]; do shift; done
exec cp {library.load().path} "$2" """,
    )


@needs_native
def test_processes_compile_into_one_cache_together(tmp_path, compiler):
    code = (
        "from mindres.native import library; import os; "
        "print(library.why_not(), os.stat(library.load().path).st_ino)"
    )
    environment = clean_environment(MINDRES_CACHE=str(tmp_path), CXX=str(compiler))
    running = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for _ in range(2)
    ]
    answers = {process.communicate(timeout=200) for process in running}
    # A library that one of them has loaded is not replaced by the other.
    [kept] = (tmp_path / "native").glob("operators-*.so")
    assert answers == {(f"None {kept.stat().st_ino}\n", "")}
    kept = sorted(path.name for path in (tmp_path / "native").iterdir())
    assert all(name.endswith(".so") for name in kept), kept
    assert sum(name.startswith("operators-") for name in kept) == 1


@pytest.mark.parametrize(
    ("variable", "value", "reason"),
    [
        ("PATH", "", "no C++ compiler"),
        ("MINDRES_NATIVE", "0", "switches it off"),
        ("MINDRES_CACHE", "/dev/null/cache", "cannot write"),
        ("CXX", "false", "compiler failed"),
    ],
)
def test_absent_without_a_word(variable, value, reason, monkeypatch, tmp_path, capfd):
    net, images = nn.Conv2d(3, 4, 3), tensor(1, 3, 8, 8)
    net(images).asnumpy()  # at the first operator MindSpore starts programs, which it finds by PATH
    monkeypatch.setattr(library, "load", library.load.__wrapped__)  # which looks again each time
    monkeypatch.setenv("MINDRES_CACHE", str(tmp_path))
    monkeypatch.setenv(variable, value)
    assert reason in library.why_not()
    with accelerated(net):
        assert type(net) is nn.Conv2d
        assert net(images).shape == (1, 4, 8, 8)
    assert capfd.readouterr() == ("", "")


@pytest.fixture(scope="module", params=["with", "without"])
def wheel(request, tmp_path_factory):
    """A wheel, unpacked, that was built with or without a compiler at hand."""
    source, folder = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    shutil.copytree(
        ROOT / "mindres", source / "mindres", ignore=shutil.ignore_patterns("*.so", "__pycache__")
    )
    without = {"PATH": "", "CXX": ""} if request.param == "without" else {}
    # To optimise takes longer than all the rest.
    quick = {"CXX": str(script(folder / "compiler", f'exec {build.find_compiler()} "$@" -O0'))}
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "wheel",
            "--no-deps",
            "--no-build-isolation",
            "--wheel-dir",
            str(folder),
            str(source),
        ],
        env=clean_environment(**(without or quick)),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    [path] = folder.glob("*.whl")
    assert path.name.endswith("-py3-none-any.whl" if without else "-py3-none-linux_x86_64.whl")
    zipfile.ZipFile(path).extractall(folder)
    return folder, not without


@needs_native
def test_a_wheel_brings_the_operators_where_no_compiler_is(wheel, tmp_path):
    folder, built_with_a_compiler = wheel
    code = """
import mindres, mindspore
from mindres.native import library
from mindres.native.accelerate import accelerated
from mindspore import nn
net = nn.Conv2d(16, 16, 3)
x = mindspore.ops.randn(2, 16, 9, 9)
plain = net(x)
with accelerated(net):
    assert float(abs(net(x) - plain).max()) < 1e-5
print(mindres.__file__, library.why_not(), library.load()[0], sep="\\n")
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        capture_output=True,
        text=True,
        env=clean_environment(PYTHONPATH=str(folder), PATH="", CXX="", MINDRES_CACHE=str(tmp_path)),
    )
    assert done.returncode == 0, done.stderr
    file, reason, library = done.stdout.splitlines()
    assert file.startswith(str(folder))
    if built_with_a_compiler:
        assert reason == "None" and library.startswith(
            str(folder / "mindres" / "native" / "cpp" / "operators-x86-64-v")
        )
    else:
        assert "no C++ compiler" in reason and library == "None"


def test_the_library_is_the_one_for_the_processor(tmp_path, monkeypatch):
    monkeypatch.setattr(build, "SOURCES", [tmp_path / "operators.cc"])
    three = {"avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe"}
    four = three | {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"}
    assert build.from_wheel(four) is None
    for level in (3, 4):
        (tmp_path / f"operators-x86-64-v{level}.so").touch()
    assert build.from_wheel(three - {"fma"}) is None
    assert build.from_wheel(three).name == "operators-x86-64-v3.so"
    assert build.from_wheel(four - {"avx512dq"}).name == "operators-x86-64-v3.so"
    assert build.from_wheel(four).name == "operators-x86-64-v4.so"


@needs_native
def test_a_library_of_the_wheel_that_cannot_be_loaded_is_compiled_here(
    tmp_path, monkeypatch, compiler
):
    (tmp_path / "operators-x86-64-v4.so").write_bytes(b"for another system")
    monkeypatch.setattr(build, "from_wheel", lambda flags: tmp_path / "operators-x86-64-v4.so")
    monkeypatch.setenv("MINDRES_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("CXX", str(compiler))
    assert library.load.__wrapped__()[0].parent == tmp_path / "cache" / "native"
    monkeypatch.setenv("MINDRES_CACHE", str(tmp_path / "other"))
    monkeypatch.delenv("CXX")
    monkeypatch.setenv("PATH", "")
    assert library.load.__wrapped__().absent == "there is no C++ compiler: install g++"


def test_half_a_set_of_libraries_is_not_put_into_a_wheel(tmp_path, monkeypatch):
    compiled = []

    def compile_operators(compiler, library, options):
        if compiled:
            raise subprocess.CalledProcessError(1, "g++")
        library.touch()
        compiled.append(library)

    monkeypatch.setattr(build, "compile_operators", compile_operators)
    assert not build.compile_for_wheel(tmp_path)
    assert not list(tmp_path.iterdir())


def test_nothing_of_a_network_is_kept_alive():
    net = nn.Conv2d(3, 4, 3)
    with accelerated(net):
        net(tensor(1, 3, 8, 8))
    left = weakref.ref(net)
    del net
    gc.collect()
    assert left() is None


@needs_native
def test_fixed_weights_are_reordered_once_and_only_inside(run_python):
    code = """
import mindres, mindspore
from mindspore import nn
from mindres.native.accelerate import accelerated
net = nn.Conv2d(16, 16, 3)
x = mindspore.ops.ones((1, 16, 8, 8))
for fixed in (True, False, True):
    with accelerated(net, fixed=fixed):
        for _ in range(2):
            print("CALL", flush=True)
            net(x).asnumpy()
"""
    done = run_python("-c", code, ONEDNN_VERBOSE="1", MINDRES_CACHE=os.environ["MINDRES_CACHE"])
    assert done.returncode == 0, done.stderr
    counts = [call.count("exec,cpu,reorder") for call in done.stdout.split("CALL")[1:]]
    every = counts[0]
    assert counts == [every, every - 1, every, every, every, every - 1], "a block begins anew"


@needs_native
def test_new_weights_count_in_the_next_block(mode):
    net, images = resnet8(), tensor(4, 3, 32, 32)
    for scale in (1, 0.5):
        for parameter in net.trainable_params():
            parameter.set_data(parameter * scale + 0.01)
        other = copy.deepcopy(net)
        for parameter in other.trainable_params():
            parameter.set_data(parameter * 0.9)
        nets = net.set_train(False), other.set_train(False)
        mode(mindspore.PYNATIVE_MODE)
        theirs = [net(images).asnumpy() for net in nets]
        mode(mindspore.GRAPH_MODE)
        with accelerated(*nets, fixed=True):
            ours = [net(images).asnumpy() for _ in range(2) for net in nets]
        assert np.abs(theirs[0] - theirs[1]).max() > 1e-3
        assert_close(ours, theirs * 2, 1e-4)


@needs_native
def test_a_limit_for_mindspores_onednn_does_not_bind_the_copy(run_python):
    if "avx512f" not in cpu.instruction_sets():
        pytest.skip("the processor has no AVX-512")
    code = (
        "import mindres, mindspore, numpy\nfrom mindspore import nn\nfrom mindres.native.accelerate import accelerated\n"
        "net = nn.Conv2d(16, 16, 3)\nx = mindspore.ops.ones((1, 16, 8, 8))\nnet(x)\n"
        "with accelerated(net): net(x)"
    )
    done = run_python("-c", code, ONEDNN_VERBOSE="1", MINDRES_CACHE=os.environ["MINDRES_CACHE"])
    kernels = [
        line.split(",")[6] for line in done.stdout.splitlines() if "exec,cpu,convolution" in line
    ]
    assert done.returncode == 0 and len(kernels) == 2, done.stdout + done.stderr
    assert "avx512" not in kernels[0] and "avx512" in kernels[1]
    assert done.stdout.count("mindres_verbose,convolution,") == 1, "benchmarks/profile.py reads it"
