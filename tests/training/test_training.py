"""Training against PyTorch step by step, and the records of it."""

import math
from types import SimpleNamespace

import mindspore
import numpy as np
import pytest
from conftest import cifar10_batches, write_cifar10_binary
from mindspore import dataset as ds, nn
from mindspore.train.callback import RunContext, _InternalCallbackParam
from small_networks import shorten_resnets

import mindres
from mindres.callbacks import early_stop
from mindres.callbacks.monitor import ValAccMonitor
from mindres.callbacks.step_state import loss_of
from mindres.compat.mindspore import last_learning_rate
from mindres.data.cifar import Cifar10
from mindres.data.digits import Digits
from mindres.errors import UserError
from mindres.training import assembly, step
from mindres.training.recipes import make_recipe
from mindres.training.schedules import learning_rates
from mindres.weights.formats import read_checkpoint

EPOCHS, STEPS, BATCH = 5, 2, 16
LR, MIN_LR = 0.005, 0.00005
# With residual branches that start at zero, PyTorch's own float32 and float64 losses part by 1e-6 in these ten steps.
# With branches that start at full strength a single ReLU that rounds the other way makes it 1e-2 and more.


def random_batches(seed, count, channels=3):
    """`count` batches of random images and labels, as NumPy arrays and as a MindSpore dataset."""
    rng = np.random.default_rng(seed)
    images = rng.standard_normal((count * BATCH, channels, 32, 32)).astype(np.float32)
    labels = rng.integers(0, 10, count * BATCH).astype(np.int32)
    data = ds.NumpySlicesDataset((images, labels), ["image", "label"], shuffle=False).batch(BATCH)
    return images.reshape(count, BATCH, channels, 32, 32), labels.reshape(count, BATCH), data


def watched(monkeypatch):
    """Lets the training loop note each step's loss and learning rate; returns the list of them."""
    seen = []

    class Watching(ValAccMonitor):
        def on_train_step_end(self, run_context):
            super().on_train_step_end(run_context)
            seen.append(
                (
                    loss_of(run_context.original_args().net_outputs),
                    last_learning_rate(self.optimizer),
                )
            )

    monkeypatch.setattr(assembly, "ValAccMonitor", Watching)
    return seen


def zero_last_gammas(net):
    """Start each residual block as the identity: its last normalisation scales by 0."""
    for _, cell in net.cells_and_names():
        if hasattr(cell, "expansion"):
            norms = [
                norm
                for name, norm in cell.cells_and_names()
                if isinstance(norm, nn.BatchNorm2d) and not name.startswith("down_sample")
            ]
            norms[-1].gamma.set_data(mindspore.ops.zeros_like(norms[-1].gamma))


@pytest.fixture(scope="module", params=["resnet18", "resnet50"])
def trained(request, tmp_path_factory):
    """One training of ten steps, which most tests here look at, of networks with one block a stage."""
    mindres.set_seed(1)
    with pytest.MonkeyPatch.context() as patch:
        shorten_resnets(patch)
        net = mindres.create_model(request.param, num_classes=10)
    zero_last_gammas(net)
    before = {name: value.asnumpy().copy() for name, value in net.parameters_dict().items()}
    images, labels, data = random_batches(0, STEPS)
    val_images, val_labels, val_data = random_batches(1, 1)
    folder = tmp_path_factory.mktemp("ckpt")
    with pytest.MonkeyPatch.context() as patch:
        seen = watched(patch)
        history = mindres.train(
            net,
            data,
            val_data,
            epochs=EPOCHS,
            lr=LR,
            min_lr=MIN_LR,
            momentum=0.9,
            weight_decay=0.0005,
            ckpt_dir=folder if request.param == "resnet18" else None,
        )
    return SimpleNamespace(
        net=net,
        before=before,
        images=images,
        labels=labels,
        val=(val_images[0], val_labels[0]),
        losses=[loss for loss, _ in seen],
        rates=[rate for _, rate in seen],
        history=history,
        folder=folder,
        arch=request.param,
    )


def cosine(epoch):
    return MIN_LR + (LR - MIN_LR) * (1 + math.cos(math.pi * epoch / EPOCHS)) / 2


def test_ten_losses_are_pytorchs(trained):
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)  # its threads and MindSpore's wait for each other
    net = torch_resnet(torch, trained.arch)
    names = {
        "gamma": "weight",
        "beta": "bias",
        "moving_mean": "running_mean",
        "moving_variance": "running_var",
    }
    renamed = {
        ".".join(
            [*name.split(".")[:-1], names.get(name.split(".")[-1], name.split(".")[-1])]
        ): value
        for name, value in trained.before.items()
    }
    missing, unexpected = net.load_state_dict(
        {n: torch.tensor(v) for n, v in renamed.items()}, strict=False
    )
    assert not unexpected and all(name.endswith("num_batches_tracked") for name in missing)
    optimizer = torch.optim.SGD(net.parameters(), LR, momentum=0.9, weight_decay=0.0005)
    losses = []
    for epoch in range(EPOCHS):
        optimizer.param_groups[0]["lr"] = cosine(epoch)
        for image, label in zip(trained.images, trained.labels):
            loss = torch.nn.functional.cross_entropy(
                net(torch.tensor(image)), torch.tensor(label).long()
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0], "ten steps that teach something"
    np.testing.assert_allclose(trained.losses, losses, rtol=1e-3)


def torch_resnet(torch, arch):
    """A ResNet in plain torch.nn whose modules are called what MindVision calls them."""
    tnn = torch.nn

    class Unit(tnn.Module):
        def __init__(self, inputs, outputs, kernel, stride=1, relu=True):
            super().__init__()
            self.features = tnn.Sequential(
                tnn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False),
                tnn.BatchNorm2d(outputs),
            )
            self.relu = relu

        def forward(self, x):
            x = self.features(x)
            return tnn.functional.relu(x) if self.relu else x

    class Block(tnn.Module):
        def __init__(self, inputs, channels, stride, bottleneck):
            super().__init__()
            outputs = 4 * channels if bottleneck else channels
            if bottleneck:
                units = [
                    Unit(inputs, channels, 1),
                    Unit(channels, channels, 3, stride),
                    Unit(channels, outputs, 1, relu=False),
                ]
            else:
                units = [Unit(inputs, channels, 3, stride), Unit(channels, outputs, 3, relu=False)]
            for i, unit in enumerate(units, start=1):
                setattr(self, f"conv{i}", unit)
            self.count = len(units)
            self.down_sample = (
                Unit(inputs, outputs, 1, stride, relu=False)
                if stride > 1 or inputs != outputs
                else None
            )

        def forward(self, x):
            y = x
            for i in range(1, self.count + 1):
                y = getattr(self, f"conv{i}")(y)
            return tnn.functional.relu(y + (x if self.down_sample is None else self.down_sample(x)))

    class Backbone(tnn.Module):
        def __init__(self, depths, bottleneck):
            super().__init__()
            self.conv1 = Unit(3, 64, 7, 2)
            inputs = 64
            for stage, depth in enumerate(depths):
                blocks = []
                for i in range(depth):
                    blocks.append(
                        Block(inputs, 64 << stage, 2 if stage and not i else 1, bottleneck)
                    )
                    inputs = (64 << stage) * (4 if bottleneck else 1)
                setattr(self, f"layer{stage + 1}", tnn.Sequential(*blocks))

        def forward(self, x):
            # pad_mode="same": an even side is padded at its end.
            x = tnn.functional.max_pool2d(tnn.functional.pad(self.conv1(x), (0, 1, 0, 1)), 3, 2)
            for stage in range(1, 5):
                x = getattr(self, f"layer{stage}")(x)
            return x

    class Network(tnn.Module):
        def __init__(self, depths, bottleneck):
            super().__init__()
            self.backbone = Backbone(depths, bottleneck)
            self.head = tnn.ModuleDict({"dense": tnn.Linear(2048 if bottleneck else 512, 10)})

        def forward(self, x):
            return self.head["dense"](self.backbone(x).mean((2, 3)))

    return Network((1, 1, 1, 1), arch == "resnet50").train()


def test_learning_rate_of_each_step(trained):
    np.testing.assert_allclose(
        trained.rates, [cosine(i // STEPS) for i in range(EPOCHS * STEPS)], rtol=1e-6
    )


def test_history_has_means_and_rates(trained):
    history = trained.history
    assert [record.epoch for record in history.epochs] == [1, 2, 3, 4, 5]
    means = np.reshape(trained.losses, (EPOCHS, STEPS)).mean(axis=1)
    np.testing.assert_allclose([record.loss for record in history.epochs], means, rtol=1e-6)
    np.testing.assert_allclose(
        [record.lr for record in history.epochs], [cosine(e) for e in range(5)], rtol=1e-6
    )
    assert all(record.images_per_second > 0 and record.seconds > 0 for record in history.epochs)
    assert history.best == max(record.metric for record in history.epochs)
    assert history.best_ckpt_path == (
        trained.folder / "best.ckpt" if trained.arch == "resnet18" else None
    )


@pytest.mark.parametrize("trained", ["resnet18"], indirect=True)
def test_best_checkpoint_is_an_ordinary_one_and_holds_what_was_measured(trained, monkeypatch):
    shorten_resnets(monkeypatch)
    fresh = mindres.create_model(trained.arch, num_classes=10)
    content = mindspore.load_checkpoint(str(trained.folder / "best.ckpt"))
    not_loaded, _ = mindspore.load_param_into_net(fresh, content, strict_load=True)
    assert not_loaded == []
    image, label = trained.val
    scores = fresh.set_train(False)(mindspore.Tensor(image)).asnumpy()
    assert (scores.argmax(axis=1) == label).mean() == pytest.approx(trained.history.best)
    _, recorded = read_checkpoint(trained.folder / "best.ckpt")
    best = next(
        record for record in trained.history.epochs if record.metric == trained.history.best
    )
    assert (recorded["epoch"], recorded["metric_name"], recorded["metric"]) == (
        best.epoch,
        "Accuracy",
        best.metric,
    )
    assert (
        recorded["architecture"]["arch"] == trained.arch
        and recorded["architecture"]["num_classes"] == 10
    )


@pytest.mark.parametrize(
    ("lr", "min_lr", "epochs", "steps"), [(0.001, 0.00001, 40, 3), (0.1, 0.0, 1, 5)]
)
def test_cosine_schedule(lr, min_lr, epochs, steps):
    rates = learning_rates(make_recipe("tutorial", lr=lr, min_lr=min_lr, epochs=epochs), steps)
    np.testing.assert_allclose(
        rates,
        nn.cosine_decay_lr(
            min_lr=min_lr,
            max_lr=lr,
            total_step=steps * epochs,
            step_per_epoch=steps,
            decay_epoch=epochs,
        ),
        rtol=1e-12,
    )
    torch = pytest.importorskip("torch")
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs, min_lr)
    for epoch in range(epochs):
        np.testing.assert_allclose(
            rates[epoch * steps : (epoch + 1) * steps], schedule.get_last_lr()[0], rtol=1e-9
        )
        optimizer.step()
        schedule.step()


def small_cifar(tmp_path):
    folder = write_cifar10_binary(
        tmp_path / "cifar-10-batches-bin", cifar10_batches(train=20, test=10)
    )
    return (Cifar10(folder, split=split, batch_size=10, resize=32) for split in ("train", "test"))


@pytest.mark.parametrize(
    ("source", "recipe"), [("arrays", "tutorial"), ("dataset", "tutorial"), ("dataset", "fast")]
)
def test_a_frozen_backbone_stays_as_it_is(tmp_path, monkeypatch, source, recipe):
    shorten_resnets(monkeypatch)
    net = mindres.create_model("resnet18", num_classes=10)
    before = {name: value.asnumpy().tobytes() for name, value in net.parameters_dict().items()}
    train_data, val_data = (
        small_cifar(tmp_path)
        if source == "dataset"
        else (random_batches(0, STEPS)[2], random_batches(1, 1)[2])
    )
    mindres.train(
        net,
        train_data,
        val_data,
        recipe=recipe,
        epochs=1,
        lr=0.1,
        weight_decay=0.01,
        freeze="backbone",
        ckpt_dir=None,
    )
    changed = {
        name
        for name, value in net.parameters_dict().items()
        if value.asnumpy().tobytes() != before[name]
    }
    assert changed == {"head.dense.weight", "head.dense.bias"}, (
        "statistics of normalisation included"
    )


def test_augmentation_that_kept_features_never_see_is_said(capsys):
    train_data = Digits(split="train", batch_size=64, auto_augment="randaugment", mixup=0.2)
    val_data = Digits(split="test", batch_size=64)
    net = mindres.lenet5(10, in_channels=3)
    for freeze, cached in (("backbone", False), ("backbone", True)):
        mindres.train(
            net, train_data, val_data, epochs=1, max_steps=1, freeze=freeze, cache_features=cached,
            ckpt_dir=None,
        )  # fmt: skip
    assert capsys.readouterr().err == (
        "mindres: warning: `auto_augment` and `mixup` have no effect: the features of the frozen "
        "backbone are computed once, from images that are not augmented\n"
    )


def test_the_average_of_a_classifier_on_kept_features(tmp_path):
    """It is the one of the whole network's training: a step is a pass over all images, in any order."""
    folder = write_cifar10_binary(
        tmp_path / "cifar-10-batches-bin", cifar10_batches(train=20, test=10)
    )
    train_data, val_data = (
        Cifar10(folder, split=split, batch_size=20, augment=False) for split in ("train", "test")
    )
    weights = []
    for cached in (True, False):
        mindres.set_seed(3)
        net = mindres.lenet5(10, in_channels=3)
        history = mindres.train(
            net,
            train_data,
            val_data,
            freeze="backbone",
            epochs=3,
            lr=0.1,
            ema=0.9,
            ckpt_dir=None,
            cache_features=cached,
        )
        weights.append(net.head.dense.weight.asnumpy())
    np.testing.assert_allclose(*weights, rtol=1e-4, atol=1e-6)
    assert mindres.evaluate(net, val_data).loss == pytest.approx(history.epochs[-1].val_loss)


class SinkingModel(mindspore.train.Model):
    """What the callbacks see on a device to which data sinks: one step an epoch, with the last step's outputs."""

    def train(self, epoch, train_dataset, callbacks=None, dataset_sink_mode=False, initial_epoch=0):
        assert dataset_sink_mode and self._train_network.__class__ is step.MeanLoss
        state = _InternalCallbackParam()
        state.update(
            batch_num=train_dataset.get_dataset_size(),
            train_dataset=train_dataset,
            epoch_num=epoch,
            dataset_sink_mode=True,
            train_network=self._train_network,
            optimizer=None,
        )
        context = RunContext(state)
        for callback in callbacks:
            callback.on_train_begin(context)
        for number in range(initial_epoch + 1, epoch + 1):
            state.cur_epoch_num = number
            for callback in callbacks:
                callback.on_train_epoch_begin(context)
            for callback in callbacks:
                callback.on_train_step_begin(context)
            self._train_network.set_train()
            for batch in train_dataset.create_tuple_iterator(num_epochs=1):
                state.net_outputs = self._train_network(*batch)
            for when in ("on_train_step_end", "on_train_epoch_end"):
                for callback in callbacks:
                    getattr(callback, when)(context)
            if context.get_stop_requested():
                break
        for callback in callbacks:
            callback.on_train_end(context)


def test_data_that_sinks_gives_the_same_history(tmp_path, monkeypatch):
    """The contract of the callbacks is played on CPU, where data does not sink; resuming is part of it."""
    images = np.random.default_rng(0).standard_normal((4 * 8, 3, 32, 32)).astype(np.float32)
    labels = (np.arange(4 * 8) % 10).astype(np.int32)
    data = ds.NumpySlicesDataset((images, labels), ["image", "label"], shuffle=False).batch(8)

    def history(folder, **options):
        mindres.set_seed(4)
        options = {"epochs": 3, "lr": 0.05, "ckpt_dir": folder, **options}
        return [
            (r.epoch, r.loss, r.metric, r.lr)
            for r in mindres.train(mindres.lenet5(10, in_channels=3), data, data, **options).epochs
        ]

    plain = history(tmp_path / "plain")
    monkeypatch.setattr(assembly, "Model", SinkingModel)
    sunk = history(tmp_path / "sunk", dataset_sink_mode=True)
    np.testing.assert_allclose(sunk, plain, rtol=1e-5)
    state = read_checkpoint(tmp_path / "sunk" / "last.ckpt")[1]["state"]
    assert (state["epoch"], state["step"], state["losses"]) == (3, 0, [])

    class Stop(early_stop.EarlyStop):
        def on_train_epoch_end(self, run_context):
            run_context.request_stop()

    with monkeypatch.context() as patch:
        patch.setattr(assembly, "EarlyStop", Stop)
        assert len(history(tmp_path / "halves", dataset_sink_mode=True, patience=9)) == 1
    np.testing.assert_allclose(
        history(tmp_path / "halves", dataset_sink_mode=True, patience=9, resume=True),
        plain,
        rtol=1e-5,
    )


def test_max_steps(tmp_path, monkeypatch, capsys):
    seen = watched(monkeypatch)
    train_data, val_data = (random_batches(seed, STEPS, 1)[2] for seed in range(2))
    history = mindres.train(
        mindres.lenet5(10), train_data, val_data, epochs=9, max_steps=3, ckpt_dir=tmp_path / "ckpt"
    )
    assert len(seen) == 3 and len(history.epochs) == 2, (
        "two steps in the first epoch, one in the second"
    )
    assert (tmp_path / "ckpt" / "best.ckpt").exists()
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("Epoch")]
    assert (
        len(lines) == 2
        and lines[0].startswith("Epoch: [1 / 9], Train Loss: [")
        and "Accuracy: " in lines[0]
    )


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"epochs": 0}, "epochs"),
        ({"max_steps": 0}, "max_steps"),
        ({"lr": 0.001, "min_lr": 0.01}, "min_lr"),
        ({"lr": -1.0}, "lr"),
        ({"mode": "eager"}, "mode"),
        ({"freeze": "head"}, "freeze"),
        ({"amp_level": "O9"}, "amp_level"),
        ({"recipe": "best"}, "recipe"),
        ({"learning_rate": 0.1}, "learning_rate"),
    ],
)
def test_arguments_out_of_range(options, part):
    with pytest.raises(UserError, match=part):
        mindres.train(
            mindres.lenet5(10),
            *(random_batches(seed, 1, 1)[2] for seed in range(2)),
            **{"ckpt_dir": None, **options},
        )


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_has_32_bits(seed):
    with pytest.raises(UserError, match=r"the seed must be in \[0, 4294967296\)"):
        mindres.set_seed(seed)
