"""Evaluation against scikit-learn and a plain loop, and the command."""

import json
import struct

import mindspore
import numpy as np
import pytest
from a_run import metadata, network, write_run
from conftest import cifar10_batches, write_cifar10_binary
from mindspore import dataset as ds
from sklearn import metrics

import mindres
from mindres.cli.program import run_command
from mindres.data.digits import Digits
from mindres.data.mnist import Mnist
from mindres.errors import UserError
from mindres.evaluation import evaluator, trained_data


@pytest.fixture(scope="module")
def net():
    return network("resnet20")


@pytest.fixture(scope="module")
def data():
    return Digits(split="test", batch_size=128)


@pytest.fixture(scope="module")
def result(net, data):
    return mindres.evaluate(net, data)


@pytest.fixture(scope="module")
def truth(net, data):
    """Labels, and logits from one image after the other in PyNative mode."""
    images = np.concatenate(
        [image for image, _ in data.run().create_tuple_iterator(output_numpy=True, num_epochs=1)]
    )
    logits = np.concatenate(
        [net(mindspore.Tensor(images[i : i + 90])).asnumpy() for i in range(0, 360, 90)]
    )
    return data.labels(), logits.astype(np.float64)


def test_accuracy_top5_and_loss(result, truth):
    labels, logits = truth
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    assert result.num_images == len(labels) == 360, "the last batch of 104 counts like the others"
    np.testing.assert_array_equal(result.labels, labels)
    np.testing.assert_allclose(result.probabilities, probabilities, atol=1e-4)
    np.testing.assert_array_equal(result.predicted, logits.argmax(1))
    assert result.accuracy == pytest.approx(metrics.accuracy_score(labels, logits.argmax(1)))
    assert result.top5 == pytest.approx(metrics.top_k_accuracy_score(labels, logits, k=5))
    assert result.loss == pytest.approx(metrics.log_loss(labels, probabilities), rel=1e-4)


def test_classes_are_scikit_learns(result):
    expected = metrics.precision_recall_fscore_support(
        result.labels, result.predicted, zero_division=0
    )
    rows = result.per_class()
    assert [row["class"] for row in rows] == list("0123456789")
    for name, column in zip(("precision", "recall", "f1", "support"), expected):
        np.testing.assert_allclose([row[name] for row in rows], column, err_msg=name)
    assert min(row["precision"] for row in rows) == 0 < max(row["precision"] for row in rows), (
        "both cases are seen"
    )
    np.testing.assert_array_equal(
        result.confusion_matrix, metrics.confusion_matrix(result.labels, result.predicted)
    )


def test_logits_of_mirror_images_are_averaged(net, data, truth):
    images = np.concatenate(
        [image for image, _ in data.run().create_tuple_iterator(output_numpy=True, num_epochs=1)]
    )
    mirrored = np.flip(images, 3).copy()
    other = np.concatenate(
        [net(mindspore.Tensor(mirrored[i : i + 90])).asnumpy() for i in range(0, 360, 90)]
    )
    scores = (truth[1] + other) / 2
    expected = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    np.testing.assert_allclose(
        mindres.evaluate(net, data, tta=True).probabilities, expected, atol=1e-4
    )


def test_mistakes_come_with_the_most_confident_first(result):
    mistakes = result.mistakes()
    assert set(mistakes) == set(np.flatnonzero(result.predicted != result.labels))
    confidence = result.probabilities[mistakes].max(1)
    assert (np.diff(confidence) <= 0).all()


def test_the_mode_and_the_network_are_as_before_and_one_shape_is_compiled(net, data, monkeypatch):
    shapes, modes = [], []
    original = mindspore.Tensor

    def spy(value, *arguments):
        if getattr(value, "ndim", 0) == 4:
            shapes.append(value.shape)
            modes.append(mindspore.get_context("mode"))
        return original(value, *arguments)

    monkeypatch.setattr(mindspore, "Tensor", spy)
    net.set_train(True)
    try:
        evaluator.evaluate(net, data)
        assert net.training and net.backbone.layer1.training
    finally:
        net.set_train(False)
    assert set(shapes) == {(128, 3, 32, 32)} and len(shapes) == 3
    assert set(modes) == {mindspore.GRAPH_MODE}
    assert mindspore.get_context("mode") == mindspore.PYNATIVE_MODE


def test_any_mindspore_dataset_is_taken(net, data):
    some = data.run().take(1)
    result = evaluator.evaluate(net, some)
    assert (result.num_images, result.classes) == (128, [str(i) for i in range(10)])
    assert evaluator.evaluate(net, some, classes=list("abcdefghij")).classes == list("abcdefghij")


def test_logits_far_apart_give_a_finite_loss(data):
    net = network()
    weight = net.head.dense.weight
    weight.set_data(mindspore.Tensor(weight.asnumpy() * 1e4))
    result = evaluator.evaluate(net, data)
    assert np.isfinite(result.loss) and result.loss > 100
    assert np.isfinite(result.probabilities).all()


@pytest.mark.parametrize(
    "labels, classes, complaint",
    [
        ([0, 10], None, "label 10 and the network only 10 classes"),
        ([0, 1], ["a", "b"], "has 2 classes and the network 10"),
    ],
)
def test_data_that_does_not_fit_is_refused(net, labels, classes, complaint):
    some = ds.NumpySlicesDataset(
        (np.zeros((2, 3, 32, 32), np.float32), np.array(labels, np.int32)), shuffle=False
    )
    with pytest.raises(UserError, match=complaint):
        evaluator.evaluate(net, some.batch(2), classes)


def test_no_images_are_refused(net):
    class Empty:
        def create_tuple_iterator(self, **_):
            return iter(())

        def get_dataset_size(self):
            return 0

    with pytest.raises(UserError, match="no images"):
        evaluator.evaluate(net, Empty())


def test_images_are_found_again(data):
    images = np.concatenate(
        [image for image, _ in data.run().create_tuple_iterator(output_numpy=True, num_epochs=1)]
    )
    positions = [359, 0, 128, 5, 0]
    np.testing.assert_array_equal(trained_data.pick(data, positions), images[positions])
    assert [position for position, _ in trained_data.visit(data, positions)] == [0, 5, 128, 359]


def test_data_is_fed_as_it_was_trained(tmp_path):
    recorded = metadata(Digits(split="test", resize=24), mean=[0.1] * 3, std=[0.5] * 3)
    data = trained_data.open_data(recorded)
    assert (type(data), data.split, data.resize, data.mean, data.std) == (
        Digits,
        "test",
        (24, 24),
        (0.1,) * 3,
        (0.5,) * 3,
    )
    assert Digits.mean != data.mean, "the class is untouched"
    write_cifar10_binary(tmp_path / "cifar-10-batches-bin", cifar10_batches())
    with pytest.raises(
        UserError, match="the class 'airplane', which the checkpoint was not trained on"
    ):
        trained_data.open_data(recorded, "cifar10", tmp_path)
    grey = {"dataset": "digits", "architecture": {"arch": "lenet5", "in_channels": 1}}
    with pytest.raises(UserError, match="3 channels and the network takes 1"):
        trained_data.open_data(grey)
    with pytest.raises(UserError, match="does not say which data set"):
        trained_data.open_data({})


@pytest.fixture(scope="module")
def small():
    return network()


@pytest.fixture(scope="module")
def run(tmp_path_factory, small):
    return write_run(tmp_path_factory.mktemp("run"), small, Digits(split="test"))


def test_eval_prints_the_table_and_draws(run, small, data, tmp_path, capsys):
    result = evaluator.evaluate(small, data)
    assert (
        run_command(["eval", "--ckpt", str(run / "best.ckpt"), "--plots", str(tmp_path / "p")])
        is None
    )
    out = capsys.readouterr().out
    assert out.startswith(
        f"lenet5 on the 360 test images of Digits\naccuracy {result.accuracy:.2%} (95% interval "
    )
    row = result.per_class()[7]
    assert (
        f"7      {row['precision']:9.2%} {row['recall']:7.2%} {row['f1']:7.2%} {row['support']:7,}"
        in out
    )
    assert " ".join(map(str, result.confusion_matrix[0])) in " ".join(out.split())
    assert sorted(p.name for p in (tmp_path / "p").iterdir()) == [
        "confusion.png",
        "mistakes.png",
        "predictions.png",
    ]


def test_eval_for_machines(run, small, data, capsys):
    result = evaluator.evaluate(small, data)
    run_command(
        [
            "eval",
            "--ckpt",
            str(run / "best.ckpt"),
            "--arch",
            "lenet5",
            "--dataset",
            "digits",
            "--json",
        ]
    )
    document = json.loads(capsys.readouterr().out)
    assert document["accuracy"] == pytest.approx(result.accuracy)
    assert document["top5"] == pytest.approx(result.top5)
    assert document["loss"] == pytest.approx(result.loss, rel=1e-4)
    assert document["num_images"] == 360
    assert document["classes"] == list("0123456789")
    assert document["confusion_matrix"] == result.confusion_matrix.tolist()
    assert document["architecture"]["arch"] == "lenet5"


def test_a_loss_that_is_no_number_is_null_in_json(result):
    broken = evaluator.Evaluation(**{**vars(result), "loss": float("nan")})
    assert json.loads(json.dumps(broken.to_json(), allow_nan=False))["loss"] is None


def test_grey_networks(tmp_path, capsys):
    images = np.random.default_rng(0).integers(0, 256, (30, 28, 28), np.uint8)
    labels = np.arange(30, dtype=np.uint8) % 10
    (tmp_path / "t10k-images-idx3-ubyte").write_bytes(
        struct.pack(">IIII", 2051, 30, 28, 28) + images.tobytes()
    )
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(
        struct.pack(">II", 2049, 30) + labels.tobytes()
    )
    folder = write_run(tmp_path, network(in_channels=1), Mnist(tmp_path, split="test", resize=32))
    run_command(
        ["eval", "--ckpt", str(folder / "best.ckpt"), "--dataset_path", str(tmp_path), "--json"]
    )
    document = json.loads(capsys.readouterr().out)
    assert [row["support"] for row in document["per_class"]] == [3] * 10
    assert (document["dataset"], document["architecture"]["in_channels"]) == ("mnist", 1)


def test_weights_without_notes_take_flags(net, tmp_path, capsys):
    path = mindres.save_checkpoint(net, tmp_path / "bare.ckpt")
    with pytest.raises(UserError, match="does not say which data set it was trained on"):
        run_command(["eval", "--ckpt", str(path)])
    run_command(["eval", "--ckpt", str(path), "--dataset", "digits", "--resize", "24", "--json"])
    expected = evaluator.evaluate(net, Digits(split="test", resize=24, batch_size=64))
    document = json.loads(capsys.readouterr().out)
    assert document["loss"] == pytest.approx(expected.loss, rel=1e-4)
    assert document["confusion_matrix"] == expected.confusion_matrix.tolist()
