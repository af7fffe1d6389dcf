"""Published weights, from a server to fine-tuning: fetched under the publisher's name, verified, kept, loaded."""

import hashlib
from dataclasses import replace

import mindspore
import numpy as np
import pytest
from conftest import cifar10_batches, write_cifar10_binary
from small_networks import shorten_resnets

import mindres
from mindres.errors import UserError
from mindres.weights.formats import read_checkpoint

MINDVISION = "/vision/classification/resnet50_224.ckpt"


@pytest.fixture
def mirror(http_server, monkeypatch):
    """The local server in the place of every publisher's."""
    monkeypatch.setenv("MINDRES_MIRROR", http_server.url)
    return http_server


@pytest.fixture(scope="module")
def mindcv_checkpoint(tmp_path_factory):
    """A ResNet-18 of random weights that MindCV built and saved, and its logits for some images."""
    mindcv = pytest.importorskip("mindcv")
    mindspore.set_seed(18)
    net = mindcv.create_model("resnet18")
    rng = np.random.default_rng(0)
    for name, value in net.parameters_dict().items():
        if "moving" in name:  # of a fresh network these are 0 and 1, and would hide a wrong place
            value.set_data(mindspore.Tensor(rng.uniform(0.5, 1.5, value.shape).astype(np.float32)))
    path = tmp_path_factory.mktemp("mindcv") / "resnet18.ckpt"
    mindspore.save_checkpoint(net, str(path))
    images = rng.standard_normal((2, 3, 64, 64)).astype(np.float32)
    return path.read_bytes(), images, net.set_train(False)(mindspore.Tensor(images)).asnumpy()


def cached(own_cache):
    return sorted((own_cache / "weights").glob("*")) if (own_cache / "weights").exists() else []


def test_the_tutorials_weights_are_fetched_loaded_and_fine_tuned(
    mirror, run_example, tmp_path, own_cache, monkeypatch
):
    """Of a ResNet-50 with one block a stage."""
    shorten_resnets(monkeypatch)
    checkpoint = tmp_path / "resnet50_224.ckpt"
    mindspore.save_checkpoint(mindres.create_model("resnet50"), str(checkpoint))
    mirror.files[MINDVISION] = checkpoint.read_bytes()
    mirror.faults[MINDVISION] = ["cut 20000000"]
    folder = write_cifar10_binary(
        tmp_path / "data" / "cifar-10-batches-bin", cifar10_batches(train=20, test=10)
    )
    done = run_example(
        "finetune_resnet50.py",
        "--dataset",
        "cifar10",
        "--dataset_path",
        folder,
        "--pretrained",
        "true",
        "--batch_size",
        10,
        "--epochs",
        1,
        "--lr",
        0.001,
        "--device_target",
        "CPU",
    )
    assert done.returncode == 0, done.stderr
    report, kept, *_ = done.stdout.splitlines()
    assert report == "85 parameters loaded from mindvision's resnet50_224.ckpt"
    assert kept.endswith(
        ": head.dense.weight, head.dense.bias (the file has 1000 classes, the network 10)"
    )
    first, second = mirror.asked(MINDVISION)
    assert "Range" not in first and second["Range"] == "bytes=20000000-"
    [path] = cached(own_cache)
    assert path.name.endswith("resnet50_224.ckpt") and path.read_bytes() == checkpoint.read_bytes()

    published, _ = read_checkpoint(checkpoint)
    trained, recorded = read_checkpoint(tmp_path / "ckpt" / "best.ckpt")
    assert (
        trained["head.dense.weight"].shape == (10, 2048)
        and recorded["architecture"]["num_classes"] == 10
    )
    for name in [
        "backbone.layer1.0.conv1.features.0.weight",
        "backbone.layer4.0.conv3.features.0.weight",
    ]:
        # Two steps have moved each a little: they were neither left alone nor started afresh.
        assert 0.9 < np.corrcoef(trained[name].ravel(), published[name].ravel())[0, 1] < 1

    mindres.create_model("resnet50", num_classes=10, pretrained="mindvision")
    assert len(mirror.requests) == 2, "what is cached is not fetched again"


def test_every_parameter_of_the_tutorials_weights_is_loaded(mirror, resnet50_checkpoint):
    mirror.files[MINDVISION] = resnet50_checkpoint.read_bytes()
    net = mindres.resnet50(pretrained=True)
    published, _ = read_checkpoint(resnet50_checkpoint)
    assert published.keys() == net.parameters_dict().keys()
    for name, value in net.parameters_dict().items():
        np.testing.assert_array_equal(value.asnumpy(), published[name], err_msg=name)


def test_weights_that_are_not_there(mirror, own_cache):
    with pytest.raises(
        UserError, match=r"cannot download .*resnet50_224\.ckpt: the server answered 404"
    ):
        mindres.resnet50(pretrained=True)
    assert cached(own_cache) == []


def test_mindcvs_weights_are_verified_by_the_digest_in_their_name(
    mirror, own_cache, mindcv_checkpoint
):
    content, images, logits = mindcv_checkpoint
    path = "/toolkits/mindcv/resnet/resnet18-1e65cd21.ckpt"
    mirror.files[path] = content
    net = mindres.resnet18()
    before = {name: value.asnumpy().copy() for name, value in net.parameters_dict().items()}
    with pytest.raises(
        UserError, match="damaged or not the published file: its SHA256 begins"
    ) as error:
        mindres.load_weights(net, "mindcv")
    assert "not 1e65cd21" in str(error.value) and cached(own_cache) == []
    for name, value in net.parameters_dict().items():
        np.testing.assert_array_equal(
            value.asnumpy(), before[name], err_msg="a failed load changes nothing"
        )

    # The same bytes under a name that tells the truth.
    digest = hashlib.sha256(content).hexdigest()[:8]
    mirror.files[path.replace("1e65cd21", digest)] = content
    source = net.sources["mindcv"]
    net.sources = {
        "mindcv": replace(source, url=source.url.replace("1e65cd21", digest), sha256=digest)
    }
    report = mindres.load_weights(net, "mindcv")
    assert len(report.loaded) == len(before) and not report.missing
    np.testing.assert_allclose(
        net(mindspore.Tensor(images)).asnumpy(), logits, rtol=1e-4, atol=1e-4
    )


def test_an_address_with_a_digest_in_its_name(http_server, own_cache, mindcv_checkpoint):
    content, images, logits = mindcv_checkpoint
    digest = hashlib.sha256(content).hexdigest()
    wrong = f"{http_server.url}/resnet18-{digest[::-1][:8]}.ckpt"
    right = f"{http_server.url}/resnet18-{digest[:8]}.ckpt"
    http_server.files.update(
        {wrong.removeprefix(http_server.url): content, right.removeprefix(http_server.url): content}
    )
    with pytest.raises(UserError, match="damaged or not the published file"):
        mindres.resnet18(pretrained=wrong)
    assert cached(own_cache) == []
    net = mindres.resnet18(pretrained=right)
    np.testing.assert_allclose(
        net(mindspore.Tensor(images)).asnumpy(), logits, rtol=1e-4, atol=1e-4
    )


def test_a_head_of_another_width_starts_afresh(tmp_path, mindcv_checkpoint):
    content, _, _ = mindcv_checkpoint
    (tmp_path / "weights.bin").write_bytes(content)  # whatever it is called
    mindspore.set_seed(0)
    net = mindres.resnet18(10)
    head = net.head.dense.weight.asnumpy().copy()
    report = mindres.load_weights(net, tmp_path / "weights.bin")
    assert set(report.missing) == {"head.dense.weight", "head.dense.bias"}
    assert set(report.missing.values()) == {"the file has 1000 classes, the network 10"}
    np.testing.assert_array_equal(net.head.dense.weight.asnumpy(), head)


def test_no_such_publisher_for_this_network():
    with pytest.raises(
        UserError, match="there are no published weights of mindvision for resnet20: name a file"
    ):
        mindres.load_weights(mindres.resnet20(), "mindvision")
