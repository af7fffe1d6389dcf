"""Networks outside of mindres: folded normalisation, ONNX and MindIR files, and the example that serves one."""

import json
import os
import runpy
import shutil
import subprocess
import sys

import mindspore
import numpy as np
import pytest
from a_run import network as small_network
from conftest import ROOT, clean_environment
from mindspore import Tensor, nn
from PIL import Image
from small_networks import shorten_resnets

import mindres
from mindres import UserError
from mindres.cli import program
from mindres.data.images import read_image
from mindres.export import FORMATS, Format, exporter, format_of
from mindres.models.folding import fold_batch_norm

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
random = np.random.default_rng(0)
SERVE = ROOT / "examples" / "serve_onnx.py"
NODE_FOLDER = os.environ.get("TEST_NODE_FOLDER") or ROOT  # where npm has installed packages


def network(name, **options):
    """A network whose normalisation has statistics and weights like those of a trained one."""
    net = mindres.create_model(name, **options)
    for _, cell in net.cells_and_names():
        if isinstance(cell, nn.BatchNorm2d):
            shape = cell.gamma.shape
            for parameter, value in (
                (cell.gamma, random.uniform(0.5, 1.5, shape)),
                (cell.beta, random.normal(0, 0.3, shape)),
                (cell.moving_mean, random.normal(0, 0.3, shape)),
                (cell.moving_variance, random.uniform(0.5, 2, shape)),
            ):
                parameter.set_data(Tensor(value, mindspore.float32))
    return net


def images(batch, channels=3, side=32):
    return random.standard_normal((batch, channels, side, side), np.float32)


def assert_same(ours, theirs, bound=1e-4):
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).max() <= bound * np.abs(theirs).max()


@pytest.mark.parametrize(
    ("name", "side"), [("resnet20", 32), ("resnet50", 32), ("googlenet", 48), ("convnet", 28)]
)
def test_folding_keeps_the_logits(name, side, monkeypatch):
    shorten_resnets(monkeypatch)
    net = network(name)
    batch = Tensor(images(3, net.architecture.get("in_channels", 3), side))
    before = {p.name: p.asnumpy().copy() for p in net.get_parameters()}
    expected = net(batch).asnumpy()
    folded = fold_batch_norm(net)
    assert not any(isinstance(cell, nn.BatchNorm2d) for _, cell in folded.cells_and_names())
    assert_same(folded(batch).asnumpy(), expected)
    assert all(np.array_equal(p.asnumpy(), before[p.name]) for p in net.get_parameters())
    np.testing.assert_array_equal(net(batch).asnumpy(), expected)


def test_folding_a_convolution_with_a_bias():
    net = nn.SequentialCell(
        nn.Conv2d(3, 5, 3, has_bias=True, bias_init="normal"), nn.BatchNorm2d(5), nn.ReLU()
    )
    net[1].moving_mean.set_data(Tensor(random.normal(0, 1, 5), mindspore.float32))
    net.set_train(False)
    batch = Tensor(images(2, side=8))
    assert_same(fold_batch_norm(net)(batch).asnumpy(), net(batch).asnumpy())


@pytest.mark.parametrize(
    ("name", "options", "side"),
    [
        ("resnet20", {"shortcut": "A"}, 32),
        ("resnet18", {"pad_mode": "pad", "num_classes": 10}, 48),
        ("resnext50_32x4d", {"num_classes": 10}, 32),
        ("convnet", {}, 28),
    ],
)
def test_onnx(name, options, side, tmp_path, monkeypatch):
    shorten_resnets(monkeypatch)
    net = network(name, **options)
    recorded = {
        "classes": list("äbcdefghij"),
        "mean": [0.5],
        "std": [0.25],
        "input_size": [side, side],
        "epoch": 3,
    }
    path = exporter.export_model(net, tmp_path / "a folder" / "the network.onnx", metadata=recorded)
    assert [file.name for file in path.parent.iterdir()] == ["the network.onnx"]
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    channels = 1 if name == "convnet" else 3
    (given,), (answer,) = session.get_inputs(), session.get_outputs()
    assert (given.name, given.shape, given.type) == (
        "input",
        ["batch", channels, side, side],
        "tensor(float)",
    )
    assert (answer.name, answer.shape) == ("logits", ["batch", 10])
    kept = {
        key: json.loads(value) for key, value in session.get_modelmeta().custom_metadata_map.items()
    }
    assert kept == {
        **{key: recorded[key] for key in ("classes", "mean", "std", "input_size")},
        "architecture": net.architecture,
    }
    assert "BatchNormalization" not in {node.op_type for node in onnx.load(path).graph.node}
    for batch in (1, 7):
        inputs = images(batch, channels, side)
        assert_same(session.run(None, {"input": inputs})[0], net(Tensor(inputs)).asnumpy())


def test_export_prints_nothing(tmp_path, capfd):
    exporter.export_model(network("convnet"), tmp_path / "net.onnx")
    assert capfd.readouterr() == ("", "")


def test_mindir(tmp_path):
    net = network("resnet20")
    path = exporter.export_model(net, tmp_path / "resnet20.mindir")
    loaded = nn.GraphCell(mindspore.load(str(path)))
    for batch in (1, 7):
        inputs = Tensor(images(batch))
        assert_same(loaded(inputs).asnumpy(), net(inputs).asnumpy())


def test_a_file_that_disagrees_is_not_written(tmp_path, monkeypatch):
    path = tmp_path / "net.onnx"
    path.write_bytes(b"the last one")
    monkeypatch.setattr(exporter, "fold_batch_norm", lambda net: network("resnet20"))
    with pytest.raises(RuntimeError, match="logits are off"):
        exporter.export_model(network("resnet20"), path)
    assert path.read_bytes() == b"the last one" and list(tmp_path.iterdir()) == [path]


def test_what_a_user_can_put_right(tmp_path, monkeypatch):
    net = network("convnet")
    with pytest.raises(
        UserError,
        match=r"cannot tell the format of .*net\.pb: end its name in \.onnx or \.xml or \.mindir",
    ):
        exporter.export_model(net, tmp_path / "net.pb")
    with pytest.raises(UserError, match="cannot write"):
        exporter.export_model(net, "/dev/null/net.onnx")
    with pytest.raises(
        UserError, match=r"net\.mindir has the extension of the format mindir, not onnx"
    ):
        exporter.export_model(net, tmp_path / "net.mindir", "onnx")
    with pytest.raises(UserError, match=r"unknown format 'onx': did you mean onnx\?"):
        exporter.export_model(net, tmp_path / "net", "onx")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(UserError, match="pip install onnx onnxruntime"):
        exporter.export_model(net, tmp_path / "net.onnx")
    assert not list(tmp_path.iterdir())


def test_the_command(tmp_path, capsys):
    mindres.save_checkpoint(
        network("convnet"), tmp_path / "convnet.ckpt", classes=list("0123456789")
    )

    def run(*arguments):
        with pytest.raises(SystemExit) as left:
            program.main(["export", "--ckpt", str(tmp_path / "convnet.ckpt"), *map(str, arguments)])
        return (left.value.code or 0, *capsys.readouterr())

    status, out, err = run("--out", tmp_path / "net", "--format", "onnx", "--json")
    assert (status, err) == (0, "") and json.loads(out)["bytes"] == (
        tmp_path / "net"
    ).stat().st_size
    status, out, err = run("--out", tmp_path / "net.onnx")
    assert (status, err) == (0, "") and "arch convnet" in out
    status, out, err = run("--out", tmp_path / "net.pth")
    assert (status, out) == (2, "") and "end its name in .onnx or .xml or .mindir" in err
    status, out, err = run("--out", tmp_path / "net.onnx", "--resize", 1_000_000)
    assert (status, out) == (2, "") and "--resize 1000000 is out of range" in err
    status, out, err = run("--out", tmp_path / "net.mindir", "--format", "onnx")
    assert (status, out) == (2, "") and "net.mindir has the extension of the format mindir" in err
    assert not (tmp_path / "net.mindir").exists()


written = {}


def require():
    """A format of the tests: nothing is needed."""


def write(network, path, shape, metadata):
    """The file has the shape; the network stays in memory."""
    path.write_text(json.dumps(shape))
    written[path] = network


def load(path):
    """The function of a file as `write` writes it."""
    return lambda images: written[path](mindspore.Tensor(images)).asnumpy()


def test_a_row_is_a_format(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(FORMATS, "shape", Format(__name__, ".shape", "the tests"))
    net = network("convnet")
    path = exporter.export_model(net, tmp_path / "net.shape")
    assert path.read_text() == "[1, 28, 28]"
    assert format_of("net", "shape") == format_of("net.shape") == "shape"
    with pytest.raises(UserError, match="unknown format 'shap': did you mean shape"):
        format_of("net", "shap")
    with pytest.raises(UserError, match=r"end its name in \.onnx or \.xml or \.mindir or \.shape"):
        format_of("net.pb")
    with pytest.raises(SystemExit):
        program.main(["export", "--help-all"])
    assert "shape for the tests" in " ".join(capsys.readouterr().out.split())


def test_the_example_reads_files_as_the_package_does(tmp_path):
    """Turned, transparent, of 16 bits, with a palette: what the network is fed is the same."""
    serve = runpy.run_path(str(SERVE))
    turned = Image.Exif()
    turned[0x0112] = 6
    colours = Image.fromarray(random.integers(0, 256, (30, 47, 3), np.uint8))
    seen_through = colours.convert("RGBA")
    seen_through.putalpha(Image.linear_gradient("L").resize(colours.size))
    deep = Image.fromarray(random.integers(0, 65536, (30, 47), np.uint16))
    colours.save(tmp_path / "turned.png", exif=turned)
    seen_through.save(tmp_path / "rgba.png")
    colours.quantize(8).save(tmp_path / "palette.gif", transparency=1)
    colours.convert("CMYK").save(tmp_path / "cmyk.jpg")
    deep.save(tmp_path / "deep.png")
    for path in sorted(tmp_path.iterdir()):
        np.testing.assert_array_equal(serve["read"](path), read_image(path), err_msg=str(path))


def test_serving_without_mindspore(tmp_path):
    net = network("resnet20", num_classes=3)
    metadata = {
        "classes": ["ant", "bee", "cow"],
        "mean": [0.5, 0.4, 0.3],
        "std": [0.2, 0.3, 0.2],
        "input_size": [32, 32],
    }
    path = exporter.export_model(net, tmp_path / "net.onnx", metadata=metadata, end_to_end=True)
    pixels = random.integers(0, 256, (3, 32, 32, 3), np.uint8)
    for i, image in enumerate(pixels):
        Image.fromarray(image).save(tmp_path / f"{i}.png")
    code = (
        "import runpy, sys\nfor name in ('mindspore', 'mindres', 'torch', 'cv2'):\n    sys.modules[name] = None\n"
        f"sys.argv = sys.argv[1:]\nrunpy.run_path({str(SERVE)!r}, run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, SERVE, path, "0.png", "1.png", "2.png"],
        cwd=tmp_path,
        env=clean_environment(),
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    inputs = (pixels / 255 - metadata["mean"]) / metadata["std"]
    probabilities = mindres.predict(
        net, inputs.transpose(0, 3, 1, 2).astype(np.float32)
    ).probabilities
    expected = [
        f"{i}.png: " + ", ".join(f"{metadata['classes'][k]} {p[k]:.1%}" for k in np.argsort(-p))
        for i, p in enumerate(probabilities)
    ]
    assert done.stdout.splitlines() == expected
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no image")
    done = subprocess.run(
        [sys.executable, SERVE, path, broken, tmp_path / "0.png"],
        env=clean_environment(),
        capture_output=True,
        text=True,
    )
    assert (
        done.returncode == 2
        and done.stderr.startswith("mindres: error: ")
        and done.stderr.count("\n") == 1
    )
    assert "cannot be read as an image" in done.stderr
    assert done.stdout.startswith(f"{tmp_path / '0.png'}: "), "the others are answered"


def runner_in_javascript():
    """Why the runner in JavaScript cannot be tried here; None where it can."""
    if shutil.which("node") is None:
        return "there is no node"
    code = "require('module').createRequire(process.cwd() + '/')('onnxruntime-node')"
    done = subprocess.run(["node", "-e", code], cwd=NODE_FOLDER, capture_output=True)
    return "npm install --ignore-scripts onnxruntime-node" if done.returncode else None


def test_the_runner_in_javascript_answers_the_same(tmp_path):
    if reason := runner_in_javascript():
        pytest.skip(reason)
    metadata = {"mean": [0.5, 0.4, 0.3], "std": [0.2, 0.3, 0.2], "input_size": [32, 32]}
    path = exporter.export_model(
        small_network("lenet5"), tmp_path / "net.onnx", metadata=metadata, end_to_end=True
    )
    names = []
    for i, size in enumerate([(30, 47), (500, 3), (32, 32)]):
        names.append(str(tmp_path / f"{i}.ppm"))
        Image.fromarray(random.integers(0, 256, (*size, 3), np.uint8)).save(names[-1])
    done = subprocess.run(
        ["node", SERVE.with_suffix(".mjs"), path, *names],
        cwd=NODE_FOLDER,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    for name, line in zip(names, done.stdout.splitlines(), strict=True):
        expected = session.run(None, {"image": read_image(name)})[0]
        answer = json.loads(line)
        assert answer["file"] == name
        np.testing.assert_allclose(answer["probabilities"], expected, atol=1e-5)
