"""Who publishes weights: each row of a network names files that its publisher has."""

import hashlib
import json
import sys
from dataclasses import replace

import mindspore
import numpy as np
import pytest
import safetensors.torch
import torch
import torch_reference
from mindvision.classification.utils.model_urls import model_urls
from PIL import Image

import mindres
from mindres import UserError
from mindres.cli import program
from mindres.models import registry
from mindres.models.registry import networks
from mindres.weights import cache
from mindres.weights.publishers import PUBLISHERS, Publisher, sources


def test_mindvisions_addresses_are_those_of_its_own_table():
    for arch, row in networks().items():
        published = row.weights
        if "mindvision" in published and model_urls.get(arch):
            assert published["mindvision"].url == model_urls[arch]


def test_digests_come_from_the_names_that_carry_one():
    published = networks()["resnet50"].weights
    assert {name: published[name].sha256 for name in published} == {
        "mindvision": None,
        "mindcv": "e0733ab8",
        "torchvision": "0676ba61",
        "timm": None,
    }
    assert published["timm"].hub and published["timm"].name == "resnet50.a1_in1k.safetensors"
    assert published["timm"].url == (
        "https://huggingface.co/timm/resnet50.a1_in1k/resolve/main/model.safetensors"
    )


# timm's weights on Hugging Face's hub: every file has the same name, and the hub states its digest.

HUB_PATH = "/timm/{}/resolve/main/model.safetensors"
RESNET18 = HUB_PATH.format("resnet18.a1_in1k")
X = np.random.default_rng(0).standard_normal((2, 3, 64, 64)).astype(np.float32)


@pytest.fixture(scope="module")
def resnet18():
    """A .safetensors file with timm's names for a ResNet-18 of random weights, and its logits for X."""
    torch.manual_seed(0)
    net = torch_reference.create("resnet18").eval()
    with torch.no_grad():
        return safetensors.torch.save(net.state_dict()), net(torch.from_numpy(X)).numpy()


@pytest.fixture
def hub(http_server, monkeypatch):
    """A hub that redirects each request for ResNet-18 to a server of large files, and states the file's digest."""
    monkeypatch.setenv("HF_ENDPOINT", http_server.url)
    http_server.files[RESNET18] = b"it always redirects"
    http_server.faults[RESNET18] = [f"redirect {http_server.url}/large/18"] * 2
    return http_server


def serve(hub, content, digest=None):
    hub.files["/large/18"] = content
    digest = digest or hashlib.sha256(content).hexdigest()
    hub.headers[RESNET18] = {"X-Linked-ETag": f'"{digest}"', "X-Linked-Size": str(len(content))}


def cached(own_cache):
    return [path.name for path in (own_cache / "weights").glob("*")]


def test_timms_weights_come_from_the_hub_without_pytorch(hub, own_cache, resnet18, monkeypatch):
    content, logits = resnet18
    serve(hub, content)
    hub.faults["/large/18"] = ["cut 1000000"]
    monkeypatch.setitem(sys.modules, "torch", None)
    net = mindres.resnet18(pretrained="timm")
    np.testing.assert_allclose(net(mindspore.Tensor(X)).asnumpy(), logits, rtol=1e-4, atol=1e-4)
    assert net.architecture["pad_mode"] == "pad"
    assert [headers.get("Range") for headers in hub.asked("/large/18")] == [None, "bytes=1000000-"]
    [name] = cached(own_cache)
    assert name.endswith("-resnet18.a1_in1k.safetensors")
    mindres.resnet18(10, pretrained="timm")
    assert len(hub.requests) == 4, "what is cached is not fetched again"


def test_a_file_that_the_hub_did_not_promise_is_refused(hub, own_cache, resnet18):
    serve(hub, resnet18[0], digest="0" * 64)
    with pytest.raises(UserError, match="damaged or not the published file: its SHA256 begins"):
        mindres.resnet18(pretrained="timm")
    assert cached(own_cache) == []


@pytest.mark.parametrize("header", [{}, {"X-Linked-ETag": '"cut"'}, {"ETag": '"' + "0" * 64 + '"'}])
def test_a_hub_that_states_no_digest_is_not_trusted(hub, own_cache, resnet18, header):
    serve(hub, resnet18[0])
    hub.headers[RESNET18] = header
    with pytest.raises(UserError, match=r"does not state the file's SHA-256.*name its path"):
        mindres.resnet18(pretrained="timm")
    assert cached(own_cache) == []


def test_a_mirror_of_plain_files_needs_no_digest(http_server, monkeypatch, resnet18):
    monkeypatch.setenv("MINDRES_MIRROR", http_server.url)
    monkeypatch.setenv("HF_ENDPOINT", "http://another.invalid")
    http_server.files[RESNET18] = resnet18[0]
    assert mindres.load_weights(mindres.resnet18(), "timm").source == (
        "timm's resnet18.a1_in1k.safetensors"
    )


def test_an_address_at_the_hub_is_verified_like_the_publishers(hub, own_cache, resnet18):
    serve(hub, resnet18[0], digest="0" * 64)
    with pytest.raises(UserError, match="damaged or not the published file"):
        mindres.resnet18(pretrained=hub.url + RESNET18)


def test_every_network_asks_for_a_file_of_its_own(hub):
    asked = set()
    for row in networks().values():
        published = row.weights
        if "timm" in published:
            with pytest.raises(UserError, match="404"):
                cache.download_weights(replace(published["timm"], name="none"))
            asked.add(hub.requests[-1][0])
    assert len(asked) == sum("timm" in row.weights for row in networks().values()) >= 7


def test_inception_v3_of_timm_has_no_auxiliary_classifier(tmp_path):
    theirs = torch_reference.create("inception_v3").eval()
    state = {k: v for k, v in theirs.state_dict().items() if not k.startswith("AuxLogits.")}
    safetensors.torch.save_file(state, tmp_path / "inception_v3.tf_in1k.safetensors")
    net = mindres.inception_v3(pretrained=tmp_path / "inception_v3.tf_in1k.safetensors")
    images = np.random.default_rng(1).standard_normal((1, 3, 107, 107)).astype(np.float32)
    with torch.no_grad():
        logits = theirs(torch.from_numpy(images)).numpy()
    np.testing.assert_allclose(
        net(mindspore.Tensor(images)).asnumpy(), logits, rtol=1e-4, atol=1e-4 * abs(logits).max()
    )


def test_published_weights_are_used_as_their_publisher_tested_them(hub, resnet18, tmp_path, capsys):
    serve(hub, resnet18[0])
    net, metadata = mindres.load_model("timm", arch="resnet18", num_classes=1000)
    assert metadata == {
        "architecture": net.architecture,
        "mean": [0.485, 0.456, 0.406],
        "std": [0.229, 0.224, 0.225],
        "input_size": [288, 288],
        "crop_fraction": 1.0,
        "fit": "crop",
    }
    assert run(capsys, "convert", "timm", tmp_path / "18.ckpt", "--arch", "resnet18")[0] == 0
    assert mindres.load_model(tmp_path / "18.ckpt")[1] == metadata
    photo = tmp_path / "photo.png"
    Image.fromarray(np.random.default_rng(2).integers(0, 256, (300, 400, 3), np.uint8)).save(photo)
    answers = [
        run(capsys, "predict", photo, "--ckpt", source, "--arch", "resnet18", "--json")
        for source in ("timm", tmp_path / "18.ckpt")
    ]
    assert [status for status, _, _ in answers] == [0, 0]
    first, second = (json.loads(out)["images"] for _, out, _ in answers)
    assert first == second
    status, _, err = run(capsys, "convert", "timm", tmp_path / "18.ckpt")
    assert status == 2 and err == (
        "mindres: error: timm publishes weights of several networks: name one with --arch\n"
    )


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as left:
        program.main([*map(str, arguments)])
    return (left.value.code or 0, *capsys.readouterr())


def test_a_new_publisher_is_a_row_and_a_value(http_server, monkeypatch, capsys):
    address = f"{http_server.url}/{{}}.ckpt"
    publisher = Publisher("the moon's README", address, facts={"num_classes": 10, "input_size": 28})
    monkeypatch.setitem(PUBLISHERS, "moon", publisher)
    row = registry.network("convnet")
    monkeypatch.setitem(row.weights, "moon", sources(moon=("convnet", 0.5))["moon"])
    assert run(capsys, "models", "convnet")[1].rstrip().endswith("28x28  mindres, moon")
    [listed] = json.loads(run(capsys, "models", "convnet", "--json")[1])
    assert listed["weights"]["moon"]["top1_source"] == "the moon's README"
    assert "chenyaofo, moon" in " ".join(run(capsys, "train", "--help-all")[1].split())
    assert "chenyaofo, moon" in " ".join(run(capsys, "convert", "--help-all")[1].split())
    with pytest.raises(UserError, match=r"cannot download http.*/convnet\.ckpt"):
        mindres.convnet(pretrained="moon")
    with pytest.raises(UserError, match="convnet: name a file, or use mindres or moon's"):
        mindres.convnet(pretrained="timm")
    with pytest.raises(UserError, match=r"name a file or an http.* URL, .*chenyaofo, moon, true"):
        mindres.convnet(pretrained="mars")


def test_without_pytorch_its_files_are_not_even_fetched(http_server, monkeypatch):
    monkeypatch.setenv("MINDRES_MIRROR", http_server.url)
    monkeypatch.setitem(sys.modules, "torch", None)
    net = mindres.create_model("resnet20")
    with pytest.raises(UserError) as caught:
        mindres.load_weights(net, True)
    assert str(caught.value) == (
        "chenyaofo's weights need PyTorch to be read: pip install torch, or use mindres's"
    )
    net.sources = networks()["resnet18"].weights
    with pytest.raises(UserError, match="pip install torch, or use mindvision or mindcv or timm's"):
        mindres.load_weights(net, "torchvision")
    assert not http_server.requests
