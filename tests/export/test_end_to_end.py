"""Files that take photographs: what they answer, and how an export proves it."""

import json
import sys

import mindspore
import numpy as np
import pytest
from a_run import network
from mindspore import Tensor, nn
from PIL import Image

import mindres
from mindres import UserError
from mindres.cli import program
from mindres.data.as_trained import preprocess, shorter_side
from mindres.data.images import read_image
from mindres.export import FORMATS, Format, proof, tensors
from mindres.export.preprocessing import preprocessing
from mindres.export.runtime import EndToEndFile
from mindres.weights.metadata import Metadata

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
random = np.random.default_rng(0)
COLOUR = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
CLASSES = [f"class {k}" for k in range(10)]
METADATA = {**COLOUR, "input_size": [32, 32], "crop_fraction": 0.875, "classes": CLASSES}
METADATA["confidence"] = {"temperature": 1.7, "thresholds": []}


@pytest.fixture(autouse=True)
def short_measurements(monkeypatch):
    monkeypatch.setattr(proof, "SECONDS", 0.01)


def session(model):
    return onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )


@pytest.mark.parametrize(
    "recorded",
    [
        {**COLOUR, "input_size": [96, 96], "crop_fraction": 0.875},
        {**COLOUR, "input_size": [32, 32]},
        {**COLOUR, "input_size": [48, 71], "crop_fraction": 0.9},  # black enters at the sides
        {**COLOUR, "input_size": [33, 20], "crop_fraction": 0.5, "fit": "stretch"},
        {"mean": [0.5], "std": [0.25], "input_size": [28, 28]},
    ],
    ids=str,
)
def test_the_graph_prepares_images_as_training_does(recorded):
    recorded = Metadata.of(recorded)
    opsets = [onnx.helper.make_opsetid("", 17)]
    graph = preprocessing(recorded, shorter_side(recorded))
    prepare = session(onnx.helper.make_model(graph, opset_imports=opsets, ir_version=8))
    one_step = 1 / 255 / np.array(recorded.std)[:, None, None]
    for size in [(32, 32), (1, 1), (375, 500), (451, 300), (2, 900), (1501, 3), (97, 64), (66, 40)]:
        image = random.integers(0, 256, (*size, 3), np.uint8)
        ours = prepare.run(None, {"image": image})[0][0]
        steps = np.abs(ours - preprocess(image, recorded)) / one_step
        assert (steps > 0.01).sum() <= 1 and steps.max() < 1.01, size  # float32 is not OpenCV's


@pytest.fixture
def photos(tmp_path):
    """Photograph-like files of many sizes, modes and orientations, in folders of two classes."""
    pictures = {}
    for i, size in enumerate([(90, 61), (48, 48), (30, 177), (300, 40)]):
        small = random.integers(0, 256, (5, 6, 3), np.uint8)
        pictures[f"{i}.png"] = Image.fromarray(small).resize(size, Image.BICUBIC)
    first = pictures["0.png"]
    turned = Image.Exif()
    turned[0x0112] = 6
    seen_through = first.convert("RGBA")
    seen_through.putalpha(Image.linear_gradient("L").resize(first.size))
    more = {"rgba.png": seen_through, "grey.png": first.convert("L"), "palette.gif": first}
    deep = Image.fromarray(random.integers(0, 65536, (30, 47), np.uint16))
    more |= {"cmyk.jpg": first.convert("CMYK"), "deep.png": deep}
    for name in ("train/cat", "train/dog", "val/cat", "val/dog"):
        folder = tmp_path / name
        folder.mkdir(parents=True)
        first.save(folder / "turned.jpg", exif=turned)
        for file, picture in {**pictures, **more}.items():
            picture.save(folder / file)
    return tmp_path


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as left:
        program.main([*map(str, arguments)])
    return (left.value.code or 0, *capsys.readouterr())


def test_a_file_answers_as_the_network_does(photos, capsys):
    checkpoint, out = photos / "net.ckpt", photos / "a folder" / "net.onnx"
    recorded = {**METADATA, "classes": ["cat", "dog"], "dataset": "folder"}
    mindres.save_checkpoint(mindres.reset_head(network(), 2), checkpoint, **recorded)
    export = ["export", "--ckpt", checkpoint, "--out", out, "--end_to_end"]
    status, printed, err = run(
        capsys, *export, "--dataset_path", photos, "--split", "val", "--json"
    )
    assert (status, err) == (0, "")
    found = json.loads(printed)
    assert found["images"] == found["same_top"] == 20 and found["difference"] < 1e-3
    assert [row["format"] for row in found["table"]] == ["MindSpore", "ONNX float32"]
    assert all(row["ms_of_1"] > 0 and row["accuracy"] is not None for row in found["table"])
    assert [file.name for file in out.parent.iterdir()] == ["net.onnx"]
    loaded = session(onnx.load(out))
    (given,), (answer,) = loaded.get_inputs(), loaded.get_outputs()
    assert (given.name, given.shape, given.type) == (
        "image",
        ["height", "width", 3],
        "tensor(uint8)",
    )
    assert (answer.name, answer.shape, answer.type) == ("probabilities", [2], "tensor(float)")
    kept = loaded.get_modelmeta().custom_metadata_map
    kept = {key: json.loads(value) for key, value in kept.items()}
    assert kept.pop("architecture")["arch"] == "lenet5" and kept == recorded

    files = sorted((photos / "val").rglob("*.*"))
    status, printed, _ = run(capsys, "predict", *files, "--ckpt", checkpoint, "--json")
    for file, said in zip(files, json.loads(printed)["images"]):
        ours = loaded.run(None, {"image": read_image(file)})[0]
        theirs = {each["index"]: each["probability"] for each in said["predictions"]}
        assert ours.argmax() == said["predictions"][0]["index"]
        np.testing.assert_allclose(ours, [theirs[0], theirs[1]], atol=1e-3)


def test_without_images_made_up_pictures_are_compared(tmp_path, capsys):
    mindres.save_checkpoint(network(), tmp_path / "net.ckpt", **METADATA)
    export = ["export", "--ckpt", tmp_path / "net.ckpt", "--out", tmp_path / "net.onnx"]
    status, out, err = run(capsys, *export, "--end_to_end")
    assert status == 0 and err.count("\n") == 1 and "verified on synthetic images" in err
    assert "the predicted class is the network's for 24 of 24 images" in out
    assert "ONNX float32" in out and "images/s" in out
    status, out, err = run(capsys, *export, "--end_to_end", "--dataset_path", "nowhere")
    assert (status, out) == (2, "") and err.startswith("mindres: error: ")


def test_a_file_that_answers_otherwise_is_not_written(tmp_path, monkeypatch):
    out = tmp_path / "net.onnx"
    out.write_bytes(b"the last one")
    net, other, answer = network(), network(seed=1), proof.network_answer
    monkeypatch.setattr(proof, "network_answer", lambda _, metadata: answer(other, metadata))
    with pytest.raises(RuntimeError, match="was not written: its probabilities are off by"):
        mindres.export_model(net, out, metadata=METADATA, end_to_end=True)
    assert out.read_bytes() == b"the last one" and list(tmp_path.iterdir()) == [out]


def test_another_class_is_told_where_it_is_no_tie():
    ours = proof.Answers(np.array([[0.5004, 0.4996]]), None)
    near = proof.Answers(np.array([[0.4999, 0.5001]]), None)
    assert "of 1 of 1 images" in proof.disagreement(near, ours).replace("the likeliest class ", "")
    tie = proof.Answers(np.array([[0.50002, 0.49998]]), None)
    assert proof.disagreement(near, tie) is None


def test_what_a_user_can_put_right(tmp_path, monkeypatch):
    with pytest.raises(UserError, match="does not say how its images are prepared"):
        mindres.export_model(network(), tmp_path / "net.onnx", end_to_end=True)
    with pytest.raises(UserError, match="mindir files are not written in int8"):
        export(network(), tmp_path / "net.mindir", int8=True)
    monkeypatch.setitem(FORMATS, "plain", Format("mindres.export.tensors", ".plain", "nobody"))
    monkeypatch.setattr(tensors, "require", lambda: None, raising=False)
    with pytest.raises(UserError, match="plain files take prepared images only"):
        export(network(), tmp_path / "net.plain")
    assert not list(tmp_path.iterdir())


def export(net, out, **options):
    """Export a file that takes photographs, and return what was found."""
    found = []
    mindres.export_model(
        net, out, metadata=METADATA, end_to_end=True, report=found.append, **options
    )
    return found[0]


def int8_export(out, monkeypatch, milliseconds):
    """Export a network in int8, with these times in the table, and return what was found."""
    times = iter(milliseconds)

    def measure(format, size, answer, images, answers):
        return proof.Row(format, size, 1.0, next(times), answers.accuracy)

    monkeypatch.setattr(proof, "measure", measure)
    return export(network(), out, int8=True)


def test_int8(tmp_path, monkeypatch):
    out = tmp_path / "net.onnx"
    losses = iter([0.1, 0.001])
    monkeypatch.setattr(proof, "lost", lambda *_: next(losses))
    found = int8_export(out, monkeypatch, [9.0, 9.0, 4.0])
    assert [row.format for row in found.rows] == ["MindSpore", "ONNX float32", "ONNX int8"]
    model = onnx.load(out)
    quantised = [node for node in model.graph.node if node.op_type == "QuantizeLinear"]
    assert quantised and out.stat().st_size < found.rows[1].bytes / 2
    assert len(found.in_float) == 1, "the layer that matters most"
    (left,) = (node for node in model.graph.node if node.name == found.in_float[0])
    assert left.op_type in ("Conv", "Gemm")
    scales = [
        array
        for array in model.graph.initializer
        if array.name.endswith("_scale") and len(array.dims) == 1 and array.dims[0] > 1
    ]
    assert scales, "weights have a scale for each channel"
    whole, float32 = EndToEndFile(out), network()
    for image, _ in proof.made_up_images(8):
        expected = proof.network_answer(float32, METADATA)([image])[0]
        assert np.abs(whole.answer(image) - expected).max() < 0.2


def test_int8_that_is_slower_is_not_written(tmp_path, monkeypatch):
    out = tmp_path / "net.onnx"
    monkeypatch.setattr(proof, "lost", lambda *_: 0.0)
    with pytest.raises(UserError, match=r"int8 is slower here than float32, 9\.5 ms for 32"):
        int8_export(out, monkeypatch, [9.0, 9.0, 9.5])
    with pytest.raises(UserError, match="give `end_to_end`"):
        mindres.export_model(network(), out, int8=True)
    assert not list(tmp_path.iterdir())


def test_accuracy_lost_is_counted_by_labels_or_by_other_answers():
    right = proof.Answers(np.array([[0.9, 0.1], [0.2, 0.8]]), np.array([0, 1]))
    wrong = proof.Answers(np.array([[0.4, 0.6], [0.2, 0.8]]), np.array([0, 1]))
    assert proof.lost(wrong, right) == 0.5 and proof.lost(right, wrong) == -0.5
    unknown = proof.Answers(right.probabilities, None)
    assert proof.lost(wrong, unknown) == 0.5


def test_mindir(tmp_path):
    recorded = {**METADATA, "mean": [0.5], "std": [0.25]}  # cropped, and grey
    net, out = network(in_channels=1), tmp_path / "net.mindir"
    found = []
    mindres.export_model(net, out, None, recorded, end_to_end=True, report=found.append)
    (found,) = found
    assert found.images == found.same_top == 24 and found.difference < 1e-5
    assert [row.format for row in found.rows] == ["MindSpore", "MindIR float32"]
    assert list(tmp_path.iterdir()) == [out] and found.bytes == out.stat().st_size
    kept = mindspore.load_mindir(str(out)).user_info
    assert json.loads(kept["mean"]) == recorded["mean"]
    loaded = nn.GraphCell(mindspore.load(str(out)))
    image = random.integers(0, 256, (55, 41, 3), np.uint8)
    expected = proof.network_answer(net, recorded)([image])[0]
    np.testing.assert_allclose(loaded(Tensor(image)).asnumpy(), expected, atol=1e-4)


def test_openvino(tmp_path, monkeypatch):
    pytest.importorskip("openvino")
    from mindres.export import openvino

    net, out = network(), tmp_path / "net.xml"
    found = export(net, out)
    assert found.images == found.same_top == 24 and found.difference < 1e-5
    assert found.rows[1].format == "OpenVINO float32"
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == ["net.bin", "net.xml"]
    assert found.bytes == found.rows[1].bytes == sum(file.stat().st_size for file in files)
    loaded = openvino.EndToEndFile(out)
    assert loaded.metadata["classes"] == CLASSES and loaded.metadata["confidence"]
    # Sizes at which another runtime's division would cut one pixel less, or more.
    images = [random.integers(0, 256, (*size, 3), np.uint8) for size in [(575, 425), (55, 555)]]
    expected = proof.network_answer(net, METADATA)(images)
    for answers in (loaded.answer_all(images), [loaded.answer(image) for image in images]):
        assert np.abs(answers - expected).max() < 1e-3
    int8_out = tmp_path / "int8.xml"
    monkeypatch.setattr(proof, "lost", lambda *_: 0.0)
    assert int8_export(int8_out, monkeypatch, [9.0, 9.0, 4.0]).rows[2].format == "OpenVINO int8"
    assert np.abs(openvino.EndToEndFile(int8_out).answer_all(images) - expected).max() < 0.2
    with pytest.raises(UserError, match=r"must end in \.xml"):
        mindres.export_model(net, tmp_path / "net", "openvino", metadata=METADATA)
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(UserError, match=r"pip install 'mindres\[openvino\]'"):
        mindres.export_model(net, tmp_path / "other.xml", metadata=METADATA)
