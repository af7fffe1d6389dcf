"""The MindSpore cells of a training step and of validation."""

from __future__ import annotations

import mindspore
from mindspore import Parameter, ParameterTuple, nn, ops

from mindres.training.loss import Loss

_add = ops.MultitypeFuncGraph("add")

_average = ops.MultitypeFuncGraph("average")

_scale = ops.MultitypeFuncGraph("scale")

_clear = ops.MultitypeFuncGraph("clear")


@_add.register("Tensor", "Tensor")
def _(total, gradient):
    return ops.assign_add(total, gradient)


@_average.register("Tensor", "Tensor", "Tensor")
def _(decay, mean, value):
    return ops.assign(mean, mean * decay + ops.cast(value, mean.dtype) * (1 - decay))


@_scale.register("Tensor", "Tensor")
def _(factor, total):
    return total * factor


@_clear.register("Tensor")
def _(total):
    return ops.assign(total, ops.zeros_like(total))


class Update(nn.Cell):
    """An optimizer that also clips and accumulates gradients and averages the weights.

    Args:
        optimizer: a MindSpore optimizer.
        clip_norm: largest norm of the gradient of all weights together; 0 for no limit.
        accumulate: number of calls whose mean gradient makes one step.
        average: the network that holds the moving average, or None.
        averaged: the network that is averaged.
        decay: decay of the moving average per step. The first steps have a lower decay, as in the
            warm-up of timm's `ModelEmaV3`: the average would otherwise stay near the initial
            weights for long.
    """

    def __init__(
        self, optimizer, clip_norm=0.0, accumulate=1, average=None, averaged=None, decay=0.0
    ):
        super().__init__(auto_prefix=False)
        self.optimizer, self.clip_norm, self.accumulate = optimizer, clip_norm, accumulate
        self.parameters = optimizer.parameters
        self.map = ops.HyperMap()
        self.averages = average is not None
        if accumulate > 1:
            self.totals = self.parameters.clone("accumulated", "zeros")
            self.count = Parameter(
                mindspore.Tensor(0, mindspore.int32), name="accumulated.count", requires_grad=False
            )
        if self.averages:
            self.mean = ParameterTuple(average.get_parameters())
            self.values = ParameterTuple(averaged.get_parameters())
            self.decay = mindspore.Tensor(decay, mindspore.float32)
            self.averaged_steps = Parameter(
                mindspore.Tensor(0, mindspore.int32), name="ema.steps", requires_grad=False
            )

    def construct(self, gradients):
        if self.accumulate == 1:
            return self.step(gradients)
        done = self.map(_add, self.totals, gradients)
        count = ops.depend(self.count, done) + 1
        ops.assign(self.count, count % self.accumulate)
        if count == self.accumulate:
            factor = mindspore.Tensor(1 / self.accumulate, mindspore.float32)
            stepped = self.step(self.map(ops.partial(_scale, factor), self.totals))
            self.map(_clear, ops.depend(self.totals, stepped))
        return True

    def step(self, gradients):
        if self.clip_norm:
            gradients = ops.clip_by_global_norm(gradients, self.clip_norm)
        done = self.optimizer(gradients)
        if self.averages:
            steps = ops.depend(self.averaged_steps, done) + 0
            warm = 1 - ops.pow(ops.cast(steps + 1, mindspore.float32), -2 / 3)
            decay = ops.minimum(self.decay, warm)
            ops.assign(self.averaged_steps, steps + 1)
            done = self.map(ops.partial(_average, decay), self.mean, ops.depend(self.values, done))
        return done


class MeanLoss(nn.Cell):
    """A training step that returns the mean loss of the epoch so far.

    With data sinking, callbacks see the output of an epoch's last step only.

    Args:
        step: a training step that returns the loss, or a tuple that begins with it.
        steps: the number of steps in an epoch.
    """

    def __init__(self, step, steps):
        super().__init__(auto_prefix=False)
        self.step, self.steps = step, steps
        self.total = Parameter(
            mindspore.Tensor(0, mindspore.float32), name="loss.total", requires_grad=False
        )
        self.count = Parameter(
            mindspore.Tensor(0, mindspore.int32), name="loss.count", requires_grad=False
        )

    def construct(self, image, label):
        outputs = self.step(image, label)
        loss = ops.cast(outputs[0] if isinstance(outputs, tuple) else outputs, mindspore.float32)
        before = self.count % self.steps
        total = loss + ops.select(before == 0, ops.zeros_like(self.total), self.total * 1.0)
        mean = total / ops.cast(before + 1, mindspore.float32)
        ops.assign(self.total, total)
        ops.assign(self.count, before + 1)
        return mean


class Validation(nn.Cell):
    """Returns (0, logits, labels) for `Model.eval`; `tta` averages logits over mirror images."""

    def __init__(self, net, tta=False):
        super().__init__(auto_prefix=False)
        self.net, self.tta = net, tta
        self.mirror = ops.ReverseV2(axis=[3])

    def construct(self, image, label):
        logits = self.net(image)
        if self.tta:
            logits = (logits + self.net(self.mirror(image))) / 2
        return 0, logits, label


def training_step(
    net,
    optimizer,
    recipe,
    average=None,
    mixed_precision=False,
    averaged=None,
    class_weights=None,
):
    """A cell that takes (images, labels), updates `net` and returns the loss.

    Args:
        net: takes images (N, C, H, W), or features if it is the last part of a network.
        optimizer: a MindSpore optimizer of the network's parameters.
        recipe: its `label_smoothing`, `clip_norm`, `accumulate` and `ema` are used.
        average: the network that holds the moving average of `averaged`, or None.
        mixed_precision: scale the loss, so that half-precision gradients keep their small values,
            and skip steps whose gradients overflow; the cell then returns (loss, overflowed,
            scale).
        averaged: the network that is averaged; None for `net`.
        class_weights: float32 (classes,), factors of the loss of each class's images, or None.
    """
    loss = Loss(net, recipe.label_smoothing, class_weights)
    update = optimizer
    if recipe.clip_norm or recipe.accumulate > 1 or average is not None:
        update = Update(
            optimizer, recipe.clip_norm, recipe.accumulate, average, averaged or net, recipe.ema
        )
    if mixed_precision:
        scaling = nn.DynamicLossScaleUpdateCell(
            loss_scale_value=2**16, scale_factor=2, scale_window=1000
        )
        return nn.TrainOneStepWithLossScaleCell(loss, update, scaling)
    return nn.TrainOneStepCell(loss, update)
