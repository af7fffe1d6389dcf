"""Learning rates and optimizers against PyTorch's, step by step; and what augmentation does to images and labels."""

import dataclasses

import numpy as np
import pytest
from mindspore import Tensor, nn
from mindspore.dataset import vision

import mindres
from mindres.cli import program, training_flags as flags, training_options
from mindres.data import AUTO_AUGMENT
from mindres.data.digits import Digits
from mindres.errors import UserError
from mindres.training import (
    moving_average,
    optimizers,
    recipe_fields,
    recipes,
    schedules,
    step,
)
from mindres.training.recipes import RECIPES, Recipe, make_recipe, recipe_options, unused_options
from mindres.training.schedules import learning_rates

torch = pytest.importorskip("torch")


def torch_rates(scheduler_of, steps_, lr, momentum=0.9):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=lr, momentum=momentum)
    scheduler = scheduler_of(optimizer)
    rates = []
    for _ in range(steps_):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


def test_staged_rates():
    """The ResNet-18 text: 150 epochs at 0.1, 60 at 0.01, 60 at 0.001."""
    recipe = RECIPES["staged_sgd"]
    expected = torch_rates(lambda o: torch.optim.lr_scheduler.MultiStepLR(o, [300, 420]), 540, 0.1)
    assert learning_rates(recipe, 2) == pytest.approx(expected)


def test_onecycle_rates():
    """Up along a line and down along half a cosine, each made of PyTorch's own schedules."""
    recipe = make_recipe("fast", epochs=5, lr=0.4, min_lr=0.0, warmup=0.25)
    rates = learning_rates(recipe, 8)
    up = torch_rates(lambda o: torch.optim.lr_scheduler.LinearLR(o, 0.1, 1.0, 9), 10, 0.4)
    down = torch_rates(lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, 30), 31, 0.4)[1:]
    assert rates == pytest.approx(up + down, abs=1e-9)


def test_accumulation_makes_fewer_steps():
    assert len(learning_rates(make_recipe(epochs=3, accumulate=4), 10)) == 9


class Small(nn.Cell):
    def __init__(self):
        super().__init__()
        self.backbone = nn.SequentialCell(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
        self.head = nn.Dense(4, 5)

    def construct(self, x):
        return self.head(self.backbone(x).mean((2, 3)))


def torch_twin(net):
    twin = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3, padding=1, bias=False),
        torch.nn.BatchNorm2d(4),
        torch.nn.ReLU(),
        torch.nn.AdaptiveAvgPool2d(1),
        torch.nn.Flatten(),
        torch.nn.Linear(4, 5),
    )
    values = [p.asnumpy() for p in net.trainable_params()]
    with torch.no_grad():
        for target, value in zip(twin.parameters(), values):
            target.copy_(torch.tensor(value))
    return twin


@pytest.mark.parametrize(
    "options",
    [
        {"optimizer": "momentum", "nesterov": True, "weight_decay": 0.01, "decay_all": False},
        {"optimizer": "momentum", "nesterov": False, "weight_decay": 0.01, "clip_norm": 0.05},
        {"optimizer": "adam", "weight_decay": 0.01},
        {"optimizer": "adamw", "weight_decay": 0.5},
        {"optimizer": "adamw", "weight_decay": 0.5, "decay_all": False, "accumulate": 2},
        {"optimizer": "momentum", "accumulate": 2},
    ],
    ids=str,
)
def test_steps_are_pytorchs(options):
    """The weights after six steps, with label smoothing, equal PyTorch's from the same start and batches."""
    recipe = make_recipe(
        "fast", epochs=1, schedule="constant", lr=0.05, label_smoothing=0.1, **options
    )
    mindres.set_seed(1)
    net = Small()
    twin = torch_twin(net)
    optimizer = optimizers.make_optimizer(net, recipe, learning_rates(recipe, 6))
    one_step = step.training_step(net, optimizer, recipe)
    one_step.set_train()
    decays = [p for p in twin.parameters() if recipe.decay_all or p.ndim > 1]
    others = [p for p in twin.parameters() if not (recipe.decay_all or p.ndim > 1)]
    groups = [
        {"params": decays, "weight_decay": recipe.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    adams = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}
    if recipe.optimizer in adams:
        reference = adams[recipe.optimizer](groups, lr=0.05)
    else:
        reference = torch.optim.SGD(groups, lr=0.05, momentum=0.9, nesterov=recipe.nesterov)
    loss = torch.nn.CrossEntropyLoss(label_smoothing=0.1)
    random = np.random.default_rng(0)
    for i in range(6):
        x = random.standard_normal((8, 3, 6, 6)).astype(np.float32)
        y = random.integers(0, 5, 8).astype(np.int32)
        one_step(Tensor(x), Tensor(y))
        (loss(twin(torch.tensor(x)), torch.tensor(y).long()) / recipe.accumulate).backward()
        if (i + 1) % recipe.accumulate == 0:
            if recipe.clip_norm:
                torch.nn.utils.clip_grad_norm_(twin.parameters(), recipe.clip_norm)
            reference.step()
            reference.zero_grad()
    # Adam divides by the gradient's size, so that where it is next to nothing, rounding has its say.
    tolerance = 1e-3 if recipe.optimizer in adams else 2e-5
    for ours, theirs in zip(net.trainable_params(), twin.parameters()):
        np.testing.assert_allclose(
            ours.asnumpy(), theirs.detach().numpy(), rtol=1e-3, atol=tolerance
        )


def test_layer_decay_slows_earlier_stages():
    net = mindres.resnet18(10)
    recipe = make_recipe(layer_decay=0.5, schedule="constant", lr=0.8, min_lr=0)
    optimizer = optimizers.make_optimizer(net, recipe, learning_rates(recipe, 1))
    rates = {
        p.name: float(optimizer.learning_rate[i].learning_rate.asnumpy()[0])
        for i, p in enumerate(optimizer.parameters)
    }
    assert rates["head.dense.weight"] == pytest.approx(0.8)
    assert rates["backbone.layer4.1.conv2.features.0.weight"] == pytest.approx(0.4)
    assert rates["backbone.conv1.features.0.weight"] == pytest.approx(0.8 * 0.5**5)


def test_moving_average():
    """The decay warms up as that of timm's `ModelEmaV3` with its default power of 2/3."""
    recipe = make_recipe("fast", epochs=1, schedule="constant", lr=0.1, ema=0.75)
    net = Small()
    average = moving_average.averaged_copy(net)
    expected = [p.asnumpy().copy() for p in net.get_parameters()]
    one_step = step.training_step(
        net, optimizers.make_optimizer(net, recipe, learning_rates(recipe, 12)), recipe, average
    )
    one_step.set_train()
    x = np.random.default_rng(0).standard_normal((8, 3, 6, 6)).astype(np.float32)
    for number in range(12):
        one_step(Tensor(x), Tensor(np.arange(8, dtype=np.int32) % 5))
        decay = min(0.75, 1 - (1 + number) ** (-2 / 3))
        expected = [
            decay * e + (1 - decay) * p.asnumpy() for e, p in zip(expected, net.get_parameters())
        ]
    assert decay == 0.75
    for e, p in zip(expected, average.get_parameters()):
        np.testing.assert_allclose(p.asnumpy(), e, rtol=1e-5, atol=1e-6)


def batch(**options):
    """The first training batch of digits in the files' order."""
    mindres.set_seed(7)
    data = Digits(split="train", shuffle=False, batch_size=64, **options)
    first = next(data.run().create_dict_iterator(num_epochs=1, output_numpy=True))
    return first["image"], first["label"]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"auto_augment": "randaugment"},
        {"auto_augment": "trivialaugment"},
        {"random_erasing": 1.0},
    ],
    ids=str,
)
def test_augmentation_changes_images_and_keeps_labels(options):
    plain, labels = batch(augment=False)
    images, same = batch(**options)
    assert np.array_equal(labels, same)
    changed = np.abs(images - plain).reshape(64, -1).max(axis=1) > 1e-3
    assert changed.mean() > 0.5
    spread = images.reshape(64, -1).std(axis=1)
    assert options.get("random_erasing") or (spread > 0.01).all(), "an image was wiped out"
    if options.get("random_erasing"):
        shifted, _ = batch()
        assert (np.abs(images - shifted).reshape(64, -1).max(axis=1) > 1e-3).all()


def test_mixup_mixes_labels_as_it_mixes_images():
    """Each image is w * itself + (1 - w) * another of the batch, and its label says the same w."""
    images, labels = batch(mixup=1.0)
    assert labels.shape == (64, 10) and labels.sum(axis=1) == pytest.approx(np.ones(64), abs=1e-3)
    plain, own = batch()
    mixed = 0
    for i in range(64):
        partners = [j for j in range(64) if own[j] != own[i]]
        w = labels[i, own[i]]
        if 0.02 < w < 0.98:
            errors = [np.abs(w * plain[i] + (1 - w) * plain[j] - images[i]).max() for j in partners]
            j = partners[int(np.argmin(errors))]
            assert min(errors) < 0.05 and labels[i, own[j]] == pytest.approx(1 - w, abs=1e-3)
            mixed += 1
    assert mixed > 10


def test_cutmix_mixes_labels_by_area():
    images, labels = batch(cutmix=1.0)
    plain, own = batch()
    assert labels.sum(axis=1) == pytest.approx(np.ones(64), abs=1e-3)
    cut = 0
    for i in range(64):
        kept = (np.abs(images[i] - plain[i]).max(axis=0) < 1e-4).mean()
        share = labels[i, own[i]]
        if share < 0.98:
            # Pixels of the pasted piece may happen to be equal (background), so the kept area is no smaller.
            assert kept >= share - 0.02
            cut += 1
    assert cut > 10


def test_a_new_row_is_found_in_help_checks_and_suggestions(monkeypatch):
    """Optimizers, schedules and recipes: nothing but the row is written."""
    monkeypatch.setitem(
        optimizers.OPTIMIZERS, "rprop", optimizers.Optimizer("Rprop", "mindspore.nn.Rprop")
    )
    monkeypatch.setitem(
        schedules.SCHEDULES,
        "linear",
        schedules.Schedule("a line", lambda recipe, steps: [recipe.lr] * steps * recipe.epochs),
    )
    monkeypatch.setitem(RECIPES, "slow", Recipe("for patience", epochs=900, optimizer="rprop"))
    parser = flags.training_parser("trains", "train.py")
    shown = " ".join(parser.format_everything().split())
    assert "momentum, adam" in shown and "rprop" in shown and "linear" in shown
    assert "slow" in shown
    args = parser.parse_args(["--recipe", "slow", "--schedule", "linear", "--epochs", "2"])
    recipe = make_recipe(args.recipe, **training_options.recipe_values(args))
    assert (recipe.optimizer, recipe.schedule, recipe.epochs) == ("rprop", "linear", 2)
    net = Small()
    optimizer = optimizers.make_optimizer(net, recipe, learning_rates(recipe, 3))
    assert type(optimizer) is nn.Rprop
    for options, part in (
        ({"name": "slwo"}, "unknown recipe 'slwo': did you mean slow"),
        ({"optimizer": "rprob"}, "unknown optimizer 'rprob': did you mean rprop"),
        ({"schedule": "liner"}, "unknown schedule 'liner': did you mean linear"),
    ):
        with pytest.raises(UserError, match=part):
            make_recipe(**options)


def test_a_new_field_is_one_line(monkeypatch):
    """Its flag, its help, its check and its note follow from the line."""
    line = recipe_fields.number(0.5, "how bold the steps are", recipe_fields.FACTOR)
    Bold = dataclasses.make_dataclass(
        "Bold", [("boldness", float, line)], bases=(Recipe,), frozen=True
    )
    monkeypatch.setattr(recipes, "Recipe", Bold)
    monkeypatch.setitem(RECIPES, "tutorial", Bold())
    parser = flags.training_parser("trains", "train.py")
    assert "how bold the steps are (tutorial: 0.5)" in " ".join(parser.format_everything().split())
    args = parser.parse_args(["--boldness", "0.25"])
    assert make_recipe(**training_options.recipe_values(args)).values()["boldness"] == 0.25
    with pytest.raises(UserError, match=r"boldness must be in \(0, 1\], not 0"):
        make_recipe(boldness=0)
    with pytest.raises(UserError, match="did you mean boldness"):
        make_recipe(boldnes=1)


def test_a_row_is_a_policy_of_augmentation(monkeypatch, capsys):
    """A name and the address of its function: in help and errors, and applied to training images."""
    monkeypatch.setitem(AUTO_AUGMENT, "inverted", f"{__name__}:inverted")
    for command in ("train", "plot"):
        with pytest.raises(SystemExit):
            program.main([command, "--help-all"])
        assert "trivialaugment,inverted}" in "".join(capsys.readouterr().out.split())
    with pytest.raises(UserError, match=r"'invertd': choose .*trivialaugment, inverted"):
        Digits(split="train", auto_augment="invertd")
    [first, *_] = Digits(split="train", auto_augment="inverted").random_transform()
    assert type(first) is vision.Invert


def inverted():
    return [vision.Invert()]


@pytest.mark.parametrize(
    "name, overrides, sentence",
    [
        (
            "tutorial",
            {"optimizer": "adam", "momentum": 0.8},
            "`momentum` has no effect with the optimizer adam, only with momentum",
        ),
        (
            "fast",
            {"schedule": "cosine", "warmup": 0.1, "min_lr": 0.001},
            "`warmup` has no effect with the schedule cosine, only with onecycle",
        ),
        (
            "staged_sgd",
            {"min_lr": 0.001, "nesterov": True, "epochs": 2},
            "`min_lr` has no effect with the schedule staged, only with cosine or onecycle",
        ),
        ("adam_early_stop", {"nesterov": None, "lr": 0.1, "ema": 0.9}, None),
    ],
)
def test_an_option_that_is_not_used_is_reported(name, overrides, sentence):
    sentences = unused_options(name, overrides)
    assert sentences == ([sentence] if sentence else [])


def test_a_recipes_own_values_are_no_unused_options():
    for name, recipe in RECIPES.items():
        own = {option.name: getattr(recipe, option.name) for option in recipe_options()}
        assert unused_options(name, own) == []


@pytest.mark.parametrize(
    "options, message",
    [
        ({"epochs": 0}, "epochs must be at least 1, not 0"),
        ({"epochs": 1.5}, "epochs must be a whole number, not 1.5"),
        ({"batch_size": "32"}, "batch_size must be a whole number, not '32'"),
        ({"lr": float("nan")}, "lr must be a number, not nan"),
        ({"lr": 0.0}, "lr must be above 0, not 0.0"),
        ({"momentum": 1.0}, r"momentum must be in \[0, 1\), not 1.0"),
        ({"layer_decay": 0}, r"layer_decay must be in \(0, 1\], not 0"),
        ({"nesterov": "yes"}, "nesterov must be True or False, not 'yes'"),
        ({"stages": (0.5, 1.5)}, r"stages must be in \[0, 1\), not 1.5"),
        ({"weight_decay": float("inf")}, "weight_decay must be at least 0, not inf"),
    ],
)
def test_values_out_of_range(options, message):
    with pytest.raises(UserError, match=message):
        make_recipe(**options)
