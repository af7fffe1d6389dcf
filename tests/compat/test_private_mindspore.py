"""Each private thing of MindSpore that mindres relies on: a failure here names what a release changed."""

import ast
import copy
import ctypes
import inspect
import logging
import os
import pickle
import subprocess
import sys

import mindspore
import numpy as np
import pytest
from conftest import clean_environment

from mindres.compat import mindspore as private
from mindres.errors import UserError, translated


def test_every_entry_says_until_when_and_has_a_test():
    tree = ast.parse(inspect.getsource(private))
    public = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    public |= {node.targets[0].id for node in tree.body if isinstance(node, ast.Assign)}
    public -= {"UNTIL", "MISSING_LIBRARIES", "package_folder", "gpu_plugin"}
    assert public == set(private.UNTIL)
    tests = " ".join(name for name in globals() if name.startswith("test_"))
    for name in private.UNTIL:
        assert name.lower() in tests, f"{name} has no test"


def wheel_text(name):
    return (private.package_folder() / name).read_bytes()


def test_gpu_plugin_is_in_the_wheel():
    assert private.gpu_plugin() == private.package_folder() / private.GPU_PLUGIN


def test_nvcc_releases_are_asked_for():
    from mindspore.run_check import _check_version

    source = inspect.getsource(_check_version)
    assert "nvcc" in source and "release" in source


def test_silence_missing_libraries_drops_these_lines_alone(caplog):
    name = f"ME.mindspore.log.{os.getpid()}"
    from mindspore import log

    assert log._get_logger().name == name, "MindSpore's logger"
    source = wheel_text("run_check/_check_version.py").decode()
    assert all(text in source for text in private.MISSING_LIBRARIES)
    logger = logging.getLogger(name)
    before = list(logger.filters)
    try:
        private.silence_missing_libraries()
        dropped, kept = (
            logger.makeRecord(name, logging.WARNING, "f", 1, text, (), None)
            for text in (f"libcudart.so ({private.MISSING_LIBRARIES[0]}", "another")
        )
        assert not logger.filter(dropped) and logger.filter(kept)
    finally:
        logger.filters[:] = before


def test_plugin_error_names_the_library():
    code = "import mindspore; mindspore.set_device('Ascend')"
    done = subprocess.run(
        [sys.executable, "-c", code], env=clean_environment(), capture_output=True, text=True
    )
    assert done.returncode == 1 and (
        "libmindspore_ascend" in private.plugin_error(done.stderr, "Ascend")
    )
    error = RuntimeError("first\n[libmindspore_gpu.so.11.6]: cannot open\nlast")
    assert "cannot open" in private.plugin_error(error, "GPU")
    assert private.plugin_error(RuntimeError(""), "GPU") == "it gives no reason"


def test_onednn_library_is_onednn():
    assert ctypes.CDLL(str(private.onednn_library())).dnnl_version


def test_checkpoint_message_reads_what_mindspore_writes(tmp_path):
    path = tmp_path / "a.ckpt"
    value = mindspore.Tensor(np.arange(3, dtype=np.float32))
    mindspore.save_checkpoint([{"name": "x", "data": value}], str(path))
    [found] = private.checkpoint_message().FromString(path.read_bytes()).value
    assert found.tag == "x" and found.tensor.tensor_content == value.asnumpy().tobytes()


class Scale(mindspore.nn.Cell):
    factor = 2

    def construct(self, x):
        return x * self.factor


class Triple(Scale):
    def construct(self, x):
        return x * 3


@pytest.fixture
def graph_mode():
    before = mindspore.get_context("mode")
    mindspore.set_context(mode=mindspore.GRAPH_MODE)
    yield
    mindspore.set_context(mode=before)


def test_forget_compiled(graph_mode):
    net, x = Scale(), mindspore.Tensor(1.0)
    assert net(x).asnumpy() == 2
    net.factor = 5
    private.forget_compiled(net)
    assert net(x).asnumpy() == 5


def test_without_initial_values_and_initialise_rest():
    with private.without_initial_values():
        net = mindspore.nn.Dense(3, 2)
    assert net.weight.has_init and net.bias.has_init, "no value yet"
    net.weight.set_data(mindspore.Tensor(np.full((2, 3), 5, np.float32)))
    private.initialise_rest(net)
    assert not net.bias.has_init and np.isfinite(net.bias.asnumpy()).all()
    for dense in (net, copy.deepcopy(net), pickle.loads(pickle.dumps(net.weight))):
        weight = getattr(dense, "weight", dense)
        assert (weight.asnumpy() == 5).all()
    assert not mindspore.nn.Dense(3, 2).weight.has_init, "outside all is as usual"


def test_renew_graph(graph_mode):
    net, x = Scale(), mindspore.Tensor(1.0)
    assert net(x).asnumpy() == 2
    net.__class__ = Triple
    assert net(x).asnumpy() == 2, "still needed: a changed class does not compile anew by itself"
    private.renew_graph(net, 1)
    assert net(x).asnumpy() == 3
    net.__class__ = Scale
    private.renew_graph(net, -1)
    compiled = len(net.compile_cache)
    assert net(x).asnumpy() == 2 and len(net.compile_cache) == compiled


def test_workers_joined():
    assert private.workers_joined() is False


def test_no_memory_in_every_wording():
    said = [
        "Allocate memory failed",
        "Malloc for kernel output failed, Memory isn't enough",
        "Device(id:0) memory isn't enough and alloc failed, kernel name: Conv2D",
        "std::bad_alloc",
        "CUDA out of memory",
    ]
    assert all(private.NO_MEMORY.search(text) for text in said)
    assert not private.NO_MEMORY.search("shape must be 3")


def test_pipeline_reason_of_a_real_pipeline(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"no image")
    data = mindspore.dataset.NumpySlicesDataset([str(tmp_path / "a.jpg")], ["image"])
    data = data.map(lambda _: 1 / 0, "image")
    with pytest.raises(Exception) as raised:
        next(data.create_tuple_iterator())
    assert private.pipeline_reason(raised.value)
    assert "the dataset cannot be read" in str(translated(raised.value))
    assert private.pipeline_reason(ValueError("shapes")) is None


def test_pipeline_user_error_of_a_real_pipeline():
    def refuse(_):
        raise UserError("photo.jpg: cut off")

    data = mindspore.dataset.NumpySlicesDataset([0], ["image"]).map(refuse, "image")
    with pytest.raises(RuntimeError) as raised:
        next(data.create_tuple_iterator())
    assert private.pipeline_user_error(raised.value) == "photo.jpg: cut off"
    assert private.pipeline_user_error(ValueError("UserError: shapes")) is None


def test_native_reason():
    heading = b"#umsg#Cuda error:#umsg#"
    assert heading in wheel_text(private.GPU_PLUGIN), "MindSpore makes a heading of this"
    said = ["RuntimeError:", "- Cuda error:", "out of it", "- C++ Call Stack:", "a.cc:1"]
    assert private.native_reason(said) == "out of it"
    assert private.native_reason(said[3:]) is None


def optimizer_of(groups, rates):
    """Momentum over two parameters after one step of two."""
    first, second = (mindspore.Parameter(np.ones(2, np.float32), name=n) for n in "ab")
    parameters = (
        [{"params": [first], "lr": [0.5, 0.3]}, {"params": [second], "lr": [0.2, 0.1]}]
        if groups
        else [first, second]
    )
    optimizer = mindspore.nn.Momentum(parameters, rates, 0.9)
    gradient = mindspore.Tensor(np.ones(2, np.float32))
    optimizer((gradient, gradient))
    return optimizer


@pytest.mark.parametrize("groups, rates, wanted", [(True, 0.1, 0.5), (False, [0.4, 0.2], 0.4)])
def test_last_learning_rate_and_has_rates_of_groups(groups, rates, wanted):
    optimizer = optimizer_of(groups, rates)
    assert private.last_learning_rate(optimizer) == pytest.approx(wanted)
    assert private.has_rates_of_groups(optimizer) == groups
    assert isinstance(optimizer.get_lr(), tuple) == groups
    assert private.last_learning_rate(optimizer_of(False, 0.25)) == pytest.approx(0.25)


def test_number_epoch_reaches_the_callbacks_that_follow():
    seen = []

    class Numbers(mindspore.train.Callback):
        def on_train_epoch_begin(self, run_context):
            private.number_epoch(run_context.original_args(), 7, 9)

    class Sees(mindspore.train.Callback):
        def on_train_epoch_end(self, run_context):
            state = run_context.original_args()
            seen.append((state.cur_epoch_num, state.epoch_num))

    net = mindspore.nn.Dense(2, 1)
    data = mindspore.dataset.NumpySlicesDataset(
        (np.ones((4, 2), np.float32), np.ones((4, 1), np.float32)), ["x", "y"], shuffle=False
    ).batch(2)
    optimizer = mindspore.nn.SGD(net.trainable_params(), 0.1)
    model = mindspore.train.Model(net, mindspore.nn.MSELoss(), optimizer)
    model.train(1, data, callbacks=[Numbers(), Sees()], dataset_sink_mode=False)
    assert seen == [(7, 9)]


def test_no_reason():
    assert private.NO_REASON.search("Unknown Error!")
    assert private.NO_REASON.search("could not execute a primitive")
    assert b"Unknown Error!" in wheel_text("lib/libmindspore_pynative.so")


def test_without_checksum(tmp_path):
    tensor = mindspore.Tensor(np.arange(3, dtype=np.float32))
    for name, checked in (("a", True), ("b", False)):
        path = str(tmp_path / f"{name}.ckpt")
        mindspore.save_checkpoint([{"name": "x", "data": tensor}], path, crc_check=checked)
    with_it, without = ((tmp_path / f"{name}.ckpt").read_bytes() for name in "ab")
    assert with_it != without
    assert private.without_checksum(with_it) == private.without_checksum(without) == without
