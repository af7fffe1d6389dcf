"""The same answers by five ways: predict, eval, ONNX Runtime, OpenVINO, and over HTTP.

`TEST_LONG=1` compares 2,000 images of CIFAR-10 with published weights, too: `make test-long`.
"""

import itertools
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from a_run import network
from conftest import SHARED
from PIL import Image

import mindres
from mindres.cli import program
from mindres.data.image_files import image_files
from mindres.data.images import read_image
from mindres.export import proof
from mindres.export.runtime import EndToEndFile

onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("openvino")
testclient = pytest.importorskip("starlette.testclient")

COLOUR = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225], "input_size": [32, 32]}
SIZES = [(90, 61), (30, 177), (300, 40), (641, 480), (7, 5)]
MODES = {"L": "png", "P": "gif", "LA": "png", "RGBA": "webp", "CMYK": "jpg", "RGB": "tiff"}


def run(capsys, *arguments):
    """What a command prints as JSON."""
    with pytest.raises(SystemExit) as left:
        program.main([*map(str, arguments), "--json"])
    out, err = capsys.readouterr()
    assert not left.value.code, err
    return json.loads(out)


def photographs(folder):
    """Files of many sizes, modes and orientations, in folders of two classes."""
    random = np.random.default_rng(0)
    for name in ("train/cat", "train/dog", "val/cat", "val/dog"):
        (folder / name).mkdir(parents=True)
    Image.new("RGB", (9, 9)).save(folder / "train" / "cat" / "a.png")
    Image.new("RGB", (9, 9)).save(folder / "train" / "dog" / "a.png")
    folders = itertools.cycle([folder / "val" / "cat", folder / "val" / "dog"])
    for size in SIZES:
        small = random.integers(0, 256, (5, 6, 4), np.uint8)
        whole = Image.fromarray(small, "RGBA").resize(size, Image.Resampling.BICUBIC)
        for mode, kind in MODES.items():
            whole.convert(mode).save(next(folders) / f"{mode}-{size[0]}.{kind}")
        deep = random.integers(0, 65536, size[::-1]).astype(np.uint16)
        Image.fromarray(deep).save(next(folders) / f"deep-{size[0]}.png")
    for orientation in range(1, 9):
        turned = Image.Exif()
        turned[0x0112] = orientation
        for size in SIZES[:2]:
            small = Image.fromarray(random.integers(0, 256, (5, 6, 3), np.uint8))
            picture = small.resize(size, Image.Resampling.BICUBIC)
            picture.save(next(folders) / f"turned-{orientation}-{size[0]}.jpg", exif=turned)


def compare_five_ways(checkpoint, data, split, folder, capsys):
    """Compare the answers to all images of a split, whose files lie in class folders in `folder`.

    Returns the accuracy and the number of images.
    """
    from mindres.export.openvino import EndToEndFile as OpenvinoFile
    from mindres.serve.app import application

    files = [checkpoint.with_suffix(ending) for ending in (".onnx", ".xml")]
    for file in files:
        command = ["export", "--ckpt", checkpoint, "--out", file, "--end_to_end"]
        run(capsys, *command, "--dataset_path", data, "--split", split)
    exported = EndToEndFile(files[0])
    count = len(exported.classes)
    top_k = f"?top_k={count}"

    said = run(capsys, "predict", folder, "--ckpt", checkpoint, "--top_k", count)["images"]
    paths = [each["image"] for each in said]
    assert paths == [str(path) for path in image_files(folder)]
    predicted = probabilities(said)

    ways = {}
    images = [read_image(path) for path in paths]
    session = onnxruntime.InferenceSession(str(files[0]), providers=["CPUExecutionProvider"])
    ways["ONNX Runtime"] = [session.run(None, {"image": image})[0] for image in images]
    openvino = OpenvinoFile(files[1])
    ways["OpenVINO"] = [openvino.answer(image) for image in images]
    ways["OpenVINO in batches"] = openvino.answer_all(images)
    with testclient.TestClient(application(exported, 32)) as client:
        answers = []
        for path in paths:
            with open(path, "rb") as file:
                answers += client.post(f"/predict{top_k}", content=file.read()).json()
    ways["HTTP"] = probabilities(answers)
    for way, found in ways.items():
        assert np.abs(np.array(found) - predicted).max() < 1e-3, way
        np.testing.assert_array_equal(np.argmax(found, axis=1), predicted.argmax(axis=1), way)

    evaluated = run(capsys, "eval", "--ckpt", checkpoint, "--dataset_path", data, "--split", split)
    expected = np.zeros((count, count), int)
    for path, top in zip(paths, predicted.argmax(axis=1)):
        expected[exported.classes.index(os.path.basename(os.path.dirname(path))), top] += 1
    assert evaluated["confusion_matrix"] == expected.tolist()
    return evaluated["accuracy"], len(paths)


def probabilities(answers):
    """The (N, classes) of what `predict` and the server say."""
    found = np.zeros((len(answers), len(answers[0]["predictions"])))
    for i, answer in enumerate(answers):
        for each in answer["predictions"]:
            found[i, each["index"]] = each["probability"]
    return found


@pytest.fixture(autouse=True)
def short_measurements(monkeypatch):
    monkeypatch.setattr(proof, "SECONDS", 0.01)


def test_photographs(tmp_path, capsys):
    photos = tmp_path / "photos"
    photographs(photos)
    noted = {**COLOUR, "crop_fraction": 0.875, "dataset": "folder", "classes": ["cat", "dog"]}
    noted["confidence"] = {"temperature": 0.2, "thresholds": []}
    net = mindres.reset_head(network(), 2)
    checkpoint = tmp_path / "net.ckpt"
    mindres.save_checkpoint(net, checkpoint, **noted)
    _, count = compare_five_ways(checkpoint, photos, "val", photos / "val", capsys)
    assert count == 51


@pytest.mark.skipif("TEST_LONG" not in os.environ, reason="it takes a minute: make test-long")
def test_cifar10_with_published_weights(tmp_path, capsys):
    weights = SHARED / "data" / "weights" / "resnet20-12fca82f.th"
    if not weights.is_file():
        pytest.skip("the real image data is not here")
    command = [sys.executable, str(SHARED / "data" / "unpack.py"), "--to", str(tmp_path)]
    counts = ["--train-per-class", "1", "--test-per-class", "200"]
    subprocess.run([*command, *counts], check=True, capture_output=True)
    folder = tmp_path / "cifar10-images" / "test"
    net = mindres.create_model("resnet20", num_classes=10, shortcut="A")
    mindres.load_weights(net, weights)
    checkpoint = tmp_path / "resnet20.ckpt"
    classes = sorted(each.name for each in folder.iterdir())
    noted = {**COLOUR, "dataset": "cifar10", "classes": classes}
    mindres.save_checkpoint(net, checkpoint, **noted)
    accuracy, count = compare_five_ways(checkpoint, tmp_path, "test", folder, capsys)
    assert count == 2000 and accuracy > 0.8
