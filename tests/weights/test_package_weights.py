"""The weights in the package: trained by mindres, loaded by name without a download, each with a card."""

import hashlib
import json
import sys

import numpy as np
import pytest
from conftest import CLASSES, ROOT
from PIL import Image
from test_publishers import run

import mindres
from mindres import UserError
from mindres.models.registry import networks
from mindres.weights import cache
from mindres.weights.cache import FILES
from mindres.weights.formats import read_checkpoint

OWN = {name: row.weights["mindres"] for name, row in networks().items() if "mindres" in row.weights}
DIGITS = [str(digit) for digit in range(10)]


def test_the_files_are_those_of_the_rows_and_small():
    assert sorted(OWN) == ["convnet", "lenet5", "resnet20"]
    files = sorted(FILES.iterdir())
    assert [path.name for path in files] == sorted(source.name for source in OWN.values())
    assert sum(path.stat().st_size for path in files) < 3_000_000
    for path in files:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        assert path.stem.rpartition("-")[2] == digest[:8], f"{path} is not the published file"


@pytest.mark.parametrize("arch", OWN)
def test_a_row_says_what_its_file_records(arch):
    arrays, metadata = read_checkpoint(cache.published_file(OWN[arch]))
    assert {array.dtype for array in arrays.values()} == {np.dtype(np.float16)}
    assert all(np.isfinite(array).all() for array in arrays.values())
    source = OWN[arch]
    assert metadata.architecture["arch"] == arch
    assert (metadata.mean, metadata.std) == (list(source.mean), list(source.std))
    assert metadata.input_size == [source.input_size] * 2
    assert metadata.crop_fraction == source.crop_fraction
    assert len(metadata.classes) == source.num_classes
    assert metadata.confidence["temperature"] > 0
    assert metadata.run is None and metadata.state is None, "of a run that is not here"


@pytest.mark.parametrize("arch", OWN)
def test_the_card_is_of_the_file(arch):
    source = OWN[arch]
    text = (ROOT / "ckpt" / f"{source.name.partition('-')[0]}.md").read_text(encoding="utf-8")
    assert source.name in text
    assert f"| test accuracy | {source.top1:.2%} (95% interval " in text
    for row in ("data", "classes", "recipe", "command", "seed", "calibration"):
        assert f"\n| {row} | " in text
    assert "\n## Limits\n" in text


@pytest.mark.parametrize("arch", OWN)
def test_they_are_loaded_without_a_download(arch, http_server, monkeypatch, own_cache):
    monkeypatch.setenv("MINDRES_MIRROR", http_server.url)
    monkeypatch.setitem(sys.modules, "torch", None)
    net = mindres.create_model(arch, pretrained="mindres")
    recorded = read_checkpoint(cache.published_file(OWN[arch]))[0]
    for name, value in net.parameters_dict().items():
        np.testing.assert_array_equal(value.asnumpy(), recorded[name], err_msg=name)
    _, metadata = mindres.load_model("mindres", arch=arch)
    assert metadata.classes == (CLASSES if arch == "resnet20" else DIGITS)
    assert metadata.fit == "crop" and metadata.dataset in ("cifar10", "mnist")
    assert not http_server.requests and not (own_cache / "weights").exists()


def test_another_classifier_has_neither_names_nor_confidence_of_the_old_one():
    net, metadata = mindres.load_model("mindres", arch="lenet5", num_classes=3)
    assert net.head.dense.weight.shape == (3, 84)
    assert metadata.confidence is None and metadata.likeness is None
    assert metadata.architecture["num_classes"] == 3


def test_what_is_loaded_by_default_is_downloaded_as_before(http_server, monkeypatch):
    monkeypatch.setenv("MINDRES_MIRROR", http_server.url)
    with pytest.raises(UserError, match=r"cannot download .*chenyaofo.*404"):
        mindres.resnet20(pretrained=True)
    with pytest.raises(UserError, match="weights for convnet: name a file, or use mindres's"):
        mindres.convnet(pretrained=True)
    with pytest.raises(UserError, match="weights of mindres for resnet20: name a file, or use aka"):
        mindres.resnet20(pretrained="mindres", shortcut="A")


def test_an_installation_without_them_says_so(monkeypatch, tmp_path):
    monkeypatch.setattr(cache, "FILES", tmp_path)
    with pytest.raises(UserError, match=r"lacks .*resnet20_cifar10-.*: install mindres again"):
        mindres.resnet20(pretrained="mindres")


def test_photographs_get_names_of_classes(tmp_path, capsys):
    noise = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.png")
    flags = ["--pretrained", "mindres", "--arch", "resnet20", "--json"]
    status, out, err = run(capsys, "predict", tmp_path / "noise.png", *flags)
    assert (status, err) == (0, "")
    answer = json.loads(out)
    assert answer["checkpoint"] == "mindres"
    (image,) = answer["images"]
    assert {row["class"] for row in image["predictions"]} <= set(CLASSES)


@pytest.mark.realdata
@pytest.mark.parametrize(
    "arch, dataset, least", [("resnet20", "cifar10", 0.72), ("lenet5", "mnist", 0.98)]
)
def test_real_images(arch, dataset, least, realdata, capsys):
    flags = ["--pretrained", "mindres", "--arch", arch, "--dataset_path", realdata, "--json"]
    status, out, _ = run(capsys, "eval", dataset, *flags)
    result = json.loads(out)
    assert status == 0 and result["accuracy"] >= least and result["dataset"] == dataset


@pytest.mark.parametrize(
    "command, message",
    [
        ("predict a.png", "one of the arguments --ckpt --pretrained is required (see"),
        ("eval --ckpt a.ckpt --pretrained mindres", "argument --pretrained: not allowed with"),
        ("eval --pretrained mindrs", "argument --pretrained: unknown value 'mindrs': did you mean"),
        ("eval --pretrained mindres", "mindres publishes weights of several networks: name one"),
        (
            "eval digits --dataset mnist --pretrained mindres",
            "digits and --dataset mnist both name",
        ),
        ("eval digitz --pretrained mindres", "there is no folder digitz, and no data set of that"),
    ],
)
def test_mistakes(command, message, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    status, out, err = run(capsys, *command.split())
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(f"mindres: error: {message}"), err
