"""Weight files of every kind: told apart by contents, unwrapped, fitted or refused; and `mindres convert`."""

import json
import pickle
import struct
import sys

import mindspore
import numpy as np
import pytest
import safetensors.numpy
import safetensors.torch
import torch
import torch_reference
from mindspore.train.checkpoint_pb2 import Checkpoint
from small_networks import zero_model

import mindres
from mindres import UserError
from mindres.cli import program
from mindres.runs.folder import RunFolder
from mindres.weights.formats import read_checkpoint

X = np.random.default_rng(0).standard_normal((2, 3, 32, 32)).astype(np.float32)


@pytest.fixture(scope="module")
def theirs():
    """A ResNet-20 with shortcut A in PyTorch, and its logits for X."""
    torch.manual_seed(0)
    net = torch_reference.create("resnet20", "A")
    with torch.no_grad():
        return net, net(torch.from_numpy(X)).numpy()


def logits(net):
    return net(mindspore.Tensor(X)).asnumpy()


def agrees(net, expected):
    return np.abs(logits(net) - expected).max() <= 1e-4 * np.abs(expected).max()


def values(net):
    return {parameter.name: parameter.asnumpy() for parameter in net.get_parameters()}


def prefixed(prefix, state):
    return {prefix + name: value for name, value in state.items()}


WRAPPINGS = {
    "plain": lambda state: state,
    "akamaster": lambda state: {"state_dict": prefixed("module.", state), "best_prec1": 91.73},
    "model_state_dict": lambda state: {
        "epoch": 3,
        "model_state_dict": state,
        "optimizer_state_dict": {"state": {}},
    },
    "model": lambda state: {"model": prefixed("module._orig_mod.", state)},
    "nested": lambda state: {"model": {"state_dict": prefixed("model.", state)}},
}


@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_wrappers_and_prefixes_are_taken_off(wrapping, theirs, tmp_path):
    net, expected = theirs
    torch.save(WRAPPINGS[wrapping](net.state_dict()), tmp_path / "file.th")
    ours = mindres.resnet20(shortcut="A", pretrained=tmp_path / "file.th")
    assert agrees(ours, expected)


def write_torch(state, path, **options):
    torch.save(state, path, **options)


KINDS = {
    "zip": write_torch,
    "pickle of old": lambda state, path: write_torch(
        state, path, _use_new_zipfile_serialization=False
    ),
    "safetensors": safetensors.torch.save_file,
    "safetensors, half": lambda state, path: safetensors.torch.save_file(
        {
            name: value.half() if value.is_floating_point() else value
            for name, value in state.items()
        },
        path,
    ),
}


@pytest.mark.parametrize("ending", [".pth", ".ckpt", ".bin"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_contents_tell_the_format_and_not_the_name(kind, ending, theirs, tmp_path):
    net, expected = theirs
    path = tmp_path / f"file{ending}"
    KINDS[kind](net.state_dict(), path)
    ours = mindres.resnet20(shortcut="A", pretrained=str(path))
    tolerance = 0.05 if "half" in kind else 1e-4
    assert np.abs(logits(ours) - expected).max() <= tolerance * np.abs(expected).max()


def test_bfloat16_and_every_integer_type(tmp_path):
    state = {
        "a": torch.tensor([1.5, -2.0, 3e38], dtype=torch.bfloat16),
        "b": torch.tensor([[1, 2]]),
        "c": torch.tensor([True, False]),
        "d": torch.tensor(7, dtype=torch.uint8),
    }
    safetensors.torch.save_file(state, tmp_path / "file.safetensors")
    torch.save(state, tmp_path / "file.pt")
    for name in ("file.safetensors", "file.pt"):
        arrays, metadata = read_checkpoint(tmp_path / name)
        assert metadata == {} and arrays.keys() == state.keys()
        for key, value in state.items():
            assert arrays[key].shape == tuple(value.shape) and np.array_equal(
                arrays[key], value.float().numpy()
            )


def test_a_safetensors_file_whose_length_looks_like_a_pickle(tmp_path):
    for padding in range(200):
        path = mindres.save_checkpoint(
            mindres.convnet(), tmp_path / "file.safetensors", note="x" * padding
        )
        if path.read_bytes()[:2] in (b"\x80\x02", b"\x80\x03"):
            break
    assert path.read_bytes()[:2] in (b"\x80\x02", b"\x80\x03")
    assert read_checkpoint(path)[1]["note"] == "x" * padding


def test_safetensors_take_no_pytorch(theirs, tmp_path, monkeypatch):
    net, expected = theirs
    safetensors.torch.save_file(net.state_dict(), tmp_path / "file.safetensors")
    torch.save(net.state_dict(), tmp_path / "file.pth")
    monkeypatch.setitem(sys.modules, "torch", None)
    assert agrees(
        mindres.resnet20(shortcut="A", pretrained=tmp_path / "file.safetensors"), expected
    )
    with pytest.raises(
        UserError, match=r"file.pth is a PyTorch file: pip install torch to read it, or write it as"
    ):
        mindres.resnet20(shortcut="A", pretrained=tmp_path / "file.pth")


class Evil:
    """Its pickle runs a command when it is read."""

    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        import os

        return os.system, (self.command,)


@pytest.mark.parametrize("how", ["zip", "pickle of old", "bare pickle"])
def test_a_pickle_that_runs_code_is_refused(how, tmp_path):
    path, trace = tmp_path / "file.pth", tmp_path / "trace"
    evil = {"state_dict": {"conv1.weight": torch.zeros(1)}, "extra": Evil(f"touch {trace}")}
    if how == "bare pickle":
        path.write_bytes(pickle.dumps(Evil(f"touch {trace}"), 2))
    else:
        KINDS[how](evil, path)
    net = mindres.resnet20()
    before = values(net)
    with pytest.raises(UserError) as caught:
        mindres.load_weights(net, path)
    assert str(caught.value).startswith(
        f"{path} holds more than weights (posix.system), and reading it would run its"
    )
    assert not trace.exists() and all(
        np.array_equal(before[name], value) for name, value in values(net).items()
    )


def lying_header(content, size=None, **changes):
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    header["conv1.weight"].update(changes)
    text = json.dumps(header).encode()
    return struct.pack("<Q", size or len(text)) + text + content[8 + length :]


DAMAGE = {
    "safetensors cut": (".safetensors", lambda content: content[: len(content) // 2]),
    "safetensors header only": (".safetensors", lambda content: content[:9]),
    "offsets beyond the end": (
        ".safetensors",
        lambda content: lying_header(content, data_offsets=[0, 1 << 40]),
    ),
    "a shape that the bytes do not fill": (
        ".safetensors",
        lambda content: lying_header(content, shape=[16, 3, 3, 4]),
    ),
    "a header longer than the file": (
        ".safetensors",
        lambda content: lying_header(content, size=1 << 62),
    ),
    "an unknown type": (".safetensors", lambda content: lying_header(content, dtype="F99")),
    "torch cut": (".pth", lambda content: content[: len(content) // 2]),
    "torch with a hole": (".pth", lambda content: content[:3000] + bytes(2000) + content[5000:]),
    "empty": (".pth", lambda content: b""),
    "one byte": (".pth", lambda content: b"\x80"),
    "a web page": (".pth", lambda content: b"<!DOCTYPE html><html><body>404</body></html>"),
    "noise": (".ckpt", lambda content: np.random.default_rng(0).bytes(5000)),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_files_are_refused_and_nothing_is_loaded(damage, theirs, tmp_path):
    net, _ = theirs
    ending, spoil = DAMAGE[damage]
    path = tmp_path / f"file{ending}"
    (safetensors.torch.save_file if ending == ".safetensors" else torch.save)(
        net.state_dict(), path
    )
    path.write_bytes(spoil(path.read_bytes()))
    ours = mindres.resnet20(shortcut="A")
    before = values(ours)
    with pytest.raises(
        UserError,
        match=r"is not a .*, or is damaged \(\w+\): delete it and download or write it again",
    ):
        mindres.load_weights(ours, path)
    assert all(np.array_equal(before[name], value) for name, value in values(ours).items())


@pytest.mark.parametrize(
    ("dims", "kind", "size"),
    [
        ([2], "Float32", 64),  # MindSpore's own reader writes these beyond the array's end
        ([1 << 20, 1 << 10], "Float32", 4),  # and makes gigabytes of these
        ([-1], "Float32", 4),
        ([4], "Int4", 2),
        ([1], "Object", 8),
    ],
)
def test_a_ckpt_whose_shape_lies(dims, kind, size, tmp_path):
    message = Checkpoint()
    tensor = message.value.add(tag="a").tensor
    tensor.dims.extend(dims)
    tensor.tensor_type, tensor.tensor_content = kind, bytes(size)
    (tmp_path / "file.ckpt").write_bytes(message.SerializeToString())
    with pytest.raises(UserError, match=r"is not a MindSpore checkpoint, or is damaged"):
        read_checkpoint(tmp_path / "file.ckpt")


def test_what_mindspore_saves_in_slices_and_with_a_checksum_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(mindspore.train.serialization, "SLICE_SIZE", 1)  # kilobytes
    saved = {"a": X[:, :, :8], "b": np.float32(3), "c": np.array([True, False]), "d": np.arange(3)}
    mindspore.save_checkpoint(
        [{"name": k, "data": mindspore.Tensor(v)} for k, v in saved.items()],
        str(tmp_path / "file.ckpt"),
        append_dict={"note": "x"},
        crc_check=True,
    )
    arrays, metadata = read_checkpoint(tmp_path / "file.ckpt")
    assert metadata == {} and arrays.keys() == saved.keys()
    for name, value in saved.items():
        assert arrays[name].shape == np.shape(value) and np.array_equal(arrays[name], value)


@pytest.mark.parametrize(
    "recorded",
    [
        [],
        {"architecture": 1},
        {"architecture": {"arch": ["convnet"]}},
        {"std": [0.0]},
        {"mean": [float("nan")]},
        {"input_size": [99999, 99999]},
        {"classes": {}},
        {"architecture": {"arch": "convnet", "num_classes": 10**9}},
    ],
)
def test_notes_that_cannot_be_are_refused(recorded, tmp_path):
    arrays = {
        parameter.name: parameter.asnumpy() for parameter in mindres.convnet().get_parameters()
    }
    safetensors.numpy.save_file(
        arrays, tmp_path / "file.safetensors", {"mindres": json.dumps(recorded)}
    )
    with pytest.raises(UserError, match="damaged"):
        mindres.load_model(tmp_path / "file.safetensors")


@pytest.mark.parametrize(
    "content", [{"best_prec1": 3.0}, [torch.zeros(2)], torch.zeros(2), {"state_dict": {}}]
)
def test_a_file_without_weights_by_name(content, tmp_path):
    torch.save(content, tmp_path / "file.pt")
    with pytest.raises(UserError, match="holds no weights by name"):
        mindres.load_weights(mindres.resnet20(), tmp_path / "file.pt")


OTHER_NETWORKS = [
    (
        "resnet18",
        {},
        "resnet34",
        "looks like a resnet18, not a resnet34: use `arch=resnet18`, or other weights",
    ),
    (
        "resnet34",
        {},
        "resnet50",
        "looks like a resnet34, not a resnet50: use `arch=resnet34`, or other weights",
    ),
    ("resnet50", {"num_classes": 2}, "wide_resnet50_2", "looks like a resnet50, not a wide_re"),
    ("wide_resnet50_2", {"num_classes": 2}, "resnet50", "looks like a wide_resnet50_2, not a"),
    ("resnext50_32x4d", {"num_classes": 2}, "resnet50", "looks like a resnext50_32x4d, not a"),
    ("resnet20", {}, "resnet18", "looks like a resnet20, not a resnet18"),
    ("resnet20", {}, "resnet32", "looks like a resnet20, not a resnet32"),
    ("lenet5", {}, "convnet", "looks like a lenet5, not a convnet"),
    ("convnet", {}, "alexnet", "looks like a convnet, not a alexnet"),
    ("googlenet", {}, "inception_v3", "looks like a googlenet, not a inception_v3"),
    ("inception_v3", {}, "googlenet", "looks like a inception_v3, not a googlenet"),
    ("alexnet", {"num_classes": 2}, "lenet5", "looks like a alexnet, not a lenet5"),
    (
        "resnet20",
        {"shortcut": "A"},
        "resnet20",
        "looks like a resnet20 with shortcut A, not B: build the network with",
    ),
    (
        "resnet18",
        {"in_channels": 1},
        "resnet18",
        "looks like a resnet18 with in_channels 1, not 3: build the network",
    ),
]


@pytest.mark.parametrize("arch, options, wanted, message", OTHER_NETWORKS)
def test_another_architecture_is_named(arch, options, wanted, message, tmp_path):
    with torch.device("meta"):
        state = torch_reference.create(arch, **options).state_dict()
    zeros = {name: torch.zeros(value.shape) for name, value in state.items()}
    safetensors.torch.save_file(zeros, tmp_path / "file.safetensors")
    with pytest.raises(UserError) as caught:
        mindres.load_weights(zero_model(wanted, num_classes=2), tmp_path / "file.safetensors")
    assert str(caught.value).startswith(f"{tmp_path / 'file.safetensors'} {message}")


def test_a_checkpoint_of_ours_says_which_network_it_is(tmp_path):
    mindres.save_checkpoint(mindres.resnet20(shortcut="A"), tmp_path / "file.ckpt")
    with pytest.raises(
        UserError,
        match=r"file.ckpt holds a resnet20, not a resnet18: use `arch=resnet20`, or other",
    ):
        mindres.load_weights(mindres.resnet18(10), tmp_path / "file.ckpt")
    with pytest.raises(
        UserError, match=r"file.ckpt holds a resnet20 with shortcut A, not B: build"
    ):
        mindres.load_weights(mindres.resnet20(), tmp_path / "file.ckpt")


def test_mismatches_are_reported_parameter_by_parameter(theirs, tmp_path):
    state = dict(theirs[0].state_dict())
    state["layer1.0.conv1.weight"] = torch.zeros(16, 16, 1, 1)
    state["layer3.2.bn2.running_mean"] = torch.zeros(63)
    state["surprise.weight"] = torch.zeros(1)
    del state["layer2.1.bn1.bias"], state["linear.bias"]
    torch.save(state, tmp_path / "file.th")
    net = mindres.resnet20(shortcut="A")
    before = values(net)
    with pytest.raises(UserError) as caught:
        mindres.load_weights(net, tmp_path / "file.th")
    assert str(caught.value) == (
        f"{tmp_path / 'file.th'} does not fit resnet20: "
        "backbone.layer1.0.conv1.features.0.weight is (16, 16, 1, 1) in the file and (16, 16, 3, 3) in the network; "
        "backbone.layer3.2.conv2.features.1.moving_mean is (63,) in the file and (64,) in the network; "
        "the network has no surprise.weight; and 1 more: name other weights"
    )
    assert all(np.array_equal(before[name], value) for name, value in values(net).items())


@pytest.mark.parametrize("arch", ["resnet18", "googlenet"])
def test_a_classifier_of_another_width_starts_afresh(arch, tmp_path):
    safetensors.torch.save_file(
        torch_reference.create(arch, num_classes=9).state_dict(), tmp_path / "file.safetensors"
    )
    net = mindres.create_model(arch, num_classes=4)
    before = values(net)
    report = mindres.load_weights(net, tmp_path / "file.safetensors")
    classifiers = [name for name in before if ".dense." in name]
    assert len(classifiers) == {"resnet18": 2, "googlenet": 6}[arch]
    assert report.missing == dict.fromkeys(classifiers, "the file has 9 classes, the network 4")
    assert len(report.loaded) == len(before) - len(classifiers)
    after = values(net)
    assert {name for name in before if np.array_equal(before[name], after[name])} == set(
        classifiers
    )
    assert f"not loaded: {classifiers[0]}" in str(
        report
    ) and "the file has 9 classes, the network 4" in str(report)


def test_auxiliary_classifiers_may_be_missing_on_either_side(tmp_path):
    state = torch_reference.create("googlenet", num_classes=4).state_dict()
    safetensors.torch.save_file(state, tmp_path / "with.safetensors")
    without = {name: value for name, value in state.items() if not name.startswith("aux")}
    safetensors.torch.save_file(without, tmp_path / "without.safetensors")
    net = mindres.googlenet(4, aux_logits=False)
    report = mindres.load_weights(net, tmp_path / "with.safetensors")
    assert (
        not report.missing and "the network has no auxiliary classifiers" in report.skipped.values()
    )
    report = mindres.load_weights(mindres.googlenet(4), tmp_path / "without.safetensors")
    assert {name.partition(".")[0] for name in report.missing} == {
        "aux"
    } and not report.skipped.keys() - {
        name for name in report.skipped if name.endswith("num_batches_tracked")
    }
    assert (
        mindres.load_model(tmp_path / "without.safetensors")[0].architecture["aux_logits"] is False
    )


def test_a_foreign_file_is_opened_by_what_it_shows(theirs, tmp_path):
    net, expected = theirs
    torch.save({"state_dict": prefixed("module.", net.state_dict())}, tmp_path / "file.th")
    ours, metadata = mindres.load_model(tmp_path / "file.th")
    assert metadata == {"architecture": ours.architecture} and agrees(ours, expected)
    assert ours.architecture == {
        "arch": "resnet20",
        "num_classes": 10,
        "shortcut": "A",
        "in_channels": 3,
    }
    torch.save({"weight": torch.zeros(3, 3)}, tmp_path / "linear.pt")
    with pytest.raises(
        UserError, match="does not say which network it holds, and its parameters do not show it"
    ):
        mindres.load_model(tmp_path / "linear.pt")
    with pytest.raises(UserError, match=r"looks like a resnet20, not a resnet18"):
        mindres.load_model(tmp_path / "file.th", arch="resnet18")


def test_published_weights_come_from_their_publisher(http_server, monkeypatch):
    monkeypatch.setenv("MINDRES_MIRROR", http_server.url)
    for function, path in (
        (mindres.resnet20, "resnet/cifar10_resnet20-4118986f.pt"),
        (mindres.inception_v3, "toolkits/mindcv/inception_v3/inception_v3-38f67890.ckpt"),
    ):
        with pytest.raises(UserError, match="404"):
            function(pretrained=True)
        assert http_server.requests[-1][0].endswith(path)
    with pytest.raises(UserError, match="404"):
        mindres.resnet18(pretrained="torchvision")
    assert http_server.requests[-1][0] == "/models/resnet18-f37072fd.pth"
    http_server.files["/models/resnet18-f37072fd.pth"] = b"something else"
    with pytest.raises(UserError, match="is damaged or not the published file: its SHA256 begins"):
        mindres.resnet18(pretrained="torchvision")
    with pytest.raises(UserError, match="no published weights for convnet: name a file"):
        mindres.convnet(pretrained=True)
    with pytest.raises(
        UserError, match="of mindcv for googlenet: name a file, or use torchvision's"
    ):
        mindres.googlenet(pretrained="mindcv")


def test_mindvision_lenet_is_fetched_and_fitted(http_server, monkeypatch, tmp_path):
    from mindvision.classification.models import lenet

    theirs = lenet(num_channel=1).set_train(False)
    mindspore.save_checkpoint(theirs, str(tmp_path / "theirs.ckpt"))
    monkeypatch.setenv("MINDRES_MIRROR", http_server.url)
    http_server.files["/vision/classification/lenet_mnist.ckpt"] = (
        tmp_path / "theirs.ckpt"
    ).read_bytes()
    x = mindspore.Tensor(X[:, :1])
    np.testing.assert_allclose(
        mindres.lenet5(pretrained=True)(x).asnumpy(), theirs(x).asnumpy(), rtol=1e-4, atol=1e-5
    )


def convert(capsys, *arguments):
    with pytest.raises(SystemExit) as left:
        program.main(["convert", *map(str, arguments)])
    return (left.value.code or 0, *capsys.readouterr())


def test_convert_there_and_back(theirs, tmp_path, capsys):
    net, expected = theirs
    torch.save({"state_dict": prefixed("module.", net.state_dict())}, tmp_path / "resnet20.th")
    status, out, err = convert(
        capsys,
        tmp_path / "resnet20.th",
        tmp_path / "ours.ckpt",
        "--arch",
        "resnet20",
        "--shortcut",
        "A",
    )
    assert status == 0 and not err
    assert out.splitlines()[-1] == (
        f"wrote {tmp_path / 'ours.ckpt'}: arch resnet20, num_classes 10, shortcut A, in_channels 3"
    )
    assert agrees(mindres.load_model(tmp_path / "ours.ckpt")[0], expected)
    best = tmp_path / "best.ckpt"
    mindres.save_checkpoint(
        mindres.load_model(tmp_path / "ours.ckpt")[0], best, classes=["a"], epoch=7
    )
    status, out, err = convert(
        capsys, best, tmp_path / "back.safetensors", "--to", "torchvision", "--json"
    )
    assert status == 0 and not err and json.loads(out)["architecture"]["shortcut"] == "A"
    again = torch_reference.create("resnet20", "A")
    again.load_state_dict(safetensors.torch.load_file(tmp_path / "back.safetensors"))
    with torch.no_grad():
        assert (
            np.abs(again(torch.from_numpy(X)).numpy() - expected).max()
            <= 1e-4 * np.abs(expected).max()
        )
    ours, metadata = mindres.load_model(tmp_path / "back.safetensors")
    assert agrees(ours, expected) and metadata["classes"] == ["a"] and metadata["epoch"] == 7


def test_convert_warns_where_torchvision_would_pool_otherwise(tmp_path, capsys):
    source, out = tmp_path / "best.ckpt", tmp_path / "out.safetensors"
    for pad_mode in ("same", "pad"):
        mindres.save_checkpoint(mindres.resnet18(3, pad_mode=pad_mode), source)
        status, _, err = convert(capsys, source, out, "--to", "torchvision")
        assert status == 0 and ("mindres: warning: these weights were trained with" in err) == (
            pad_mode == "same"
        )
        assert mindres.load_model(out)[0].architecture["pad_mode"] == pad_mode


def test_convert_keeps_what_was_there_when_it_cannot_go_on(tmp_path, capsys):
    (tmp_path / "out.ckpt").write_text("precious")
    (tmp_path / "noise.ckpt").write_bytes(b"noise" * 100)
    status, out, err = convert(capsys, tmp_path / "noise.ckpt", tmp_path / "out.ckpt")
    assert (status, out, err.count("\n")) == (2, "", 1) and err.startswith("mindres: error: ")
    assert (tmp_path / "out.ckpt").read_text() == "precious" and len(list(tmp_path.iterdir())) == 2


def test_convert_leaves_the_checkpoints_of_a_running_run_alone(tmp_path, capsys):
    source = mindres.save_checkpoint(mindres.convnet(), tmp_path / "source.ckpt")
    folder = tmp_path / "run"
    with RunFolder(folder).locked():
        for name in ("best.ckpt", "last.ckpt", "best-2.ckpt", "best-epoch-3.ckpt"):
            status, _, err = convert(capsys, source, folder / name)
            assert status == 2 and err == (
                f"mindres: error: another run is training in {folder}: wait for its end, or name "
                "another file to write\n"
            )
        assert not list(folder.iterdir())
        assert convert(capsys, source, folder / "best.safetensors")[0] == 0
    assert convert(capsys, source, folder / "best.ckpt")[0] == 0


@pytest.mark.parametrize("number", ["99999999999", "9" * 30])
def test_convert_refuses_more_classes_than_any_memory_holds(number, tmp_path, capsys):
    source = mindres.save_checkpoint(mindres.convnet(), tmp_path / "source.ckpt")
    status, _, err = convert(capsys, source, tmp_path / "out.ckpt", "--num_classes", number)
    assert status == 2 and err == (
        f"mindres: error: --num_classes must be from 1 to 1,000,000, not {int(number):,}\n"
    )
