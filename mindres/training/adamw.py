"""Adam with decoupled weight decay."""

from __future__ import annotations

import mindspore
from mindspore import Parameter, Tensor, nn, ops

from mindres.compat.mindspore import has_rates_of_groups

_step = ops.MultitypeFuncGraph("adamw_step")


@_step.register(
    "Function", "Tensor", "Tensor", "Tensor", "Tensor",
    "Tensor", "Tensor", "Tensor", "Tensor", "Tensor", "Tensor",
)  # fmt: skip
def _(operator, beta1, beta2, eps, scale, rate, decay, weight, moment1, moment2, gradient):
    # The operator multiplies the decay by its rate, which includes the bias correction.
    return operator(
        weight, moment1, moment2, rate * scale, beta1, beta2, eps, decay / scale, gradient
    )


class AdamW(nn.Optimizer):
    """Adam with decoupled weight decay (arXiv:1711.05101, algorithm 2), as `torch.optim.AdamW`.

    `nn.AdamWeightDecay` has no bias correction. Its operator, which passes over the weights once,
    is used here with rates that include the correction.

    Args:
        parameters: the parameters, or groups of them with their own `lr` and `weight_decay`.
        rates: the learning rate of every step, or one for all steps.
        beta1, beta2: decay per step of the two moments.
        eps: added to the square root of the second moment.
        weight_decay: part of each weight that a step subtracts, times the learning rate.
    """

    def __init__(
        self, parameters, rates=0.001, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.01
    ):
        super().__init__(rates, parameters, weight_decay)
        self.beta1 = Tensor(beta1, mindspore.float32)
        self.beta2 = Tensor(beta2, mindspore.float32)
        self.eps = Tensor(eps, mindspore.float32)
        self.moment1 = self.parameters.clone("moment1", "zeros")
        self.moment2 = self.parameters.clone("moment2", "zeros")
        self.beta1_power = Parameter(
            Tensor(1, mindspore.float32), name="beta1_power", requires_grad=False
        )
        self.beta2_power = Parameter(
            Tensor(1, mindspore.float32), name="beta2_power", requires_grad=False
        )
        self.map = ops.HyperMap()
        self.operator = ops.AdamWeightDecay()
        count = len(self.parameters)
        decays = self.get_weight_decay()
        if not isinstance(decays, (tuple, list)):
            decays = [decays] * count
        self.decays = tuple(Tensor(float(decay), mindspore.float32) for decay in decays)
        self.count = count
        self.rates_of_groups = has_rates_of_groups(self)

    def construct(self, gradients):
        rates = self.get_lr()
        if not self.rates_of_groups:
            rates = (rates,) * self.count
        ops.assign_add(self.global_step, 1)
        power1 = self.beta1_power * self.beta1
        power2 = self.beta2_power * self.beta2
        self.beta1_power = power1
        self.beta2_power = power2
        root = ops.sqrt(1 - power2)
        operator = ops.partial(
            _step,
            self.operator,
            self.beta1,
            self.beta2,
            self.eps * root,
            root / (1 - power1),
        )
        return self.map(
            operator, rates, self.decays, self.parameters, self.moment1, self.moment2, gradients
        )
