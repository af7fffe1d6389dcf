"""The loss of a training: cross entropy, smoothed, and weighted by class."""

from __future__ import annotations

import mindspore
from mindspore import nn


class Loss(nn.Cell):
    """Mean cross entropy of `net`'s logits.

    Auxiliary logits, where the network gives them, count `net.aux_weight`.
    Takes images (N, C, H, W) and labels, int (N,) or probabilities (N, classes).
    """

    def __init__(self, net, label_smoothing=0.0, class_weights=None):
        super().__init__(auto_prefix=False)
        self.net = net
        self.aux_weight = getattr(net, "aux_weight", 0.0)
        self.weights = None if class_weights is None else mindspore.Tensor(class_weights)
        self.reduction = "mean" if class_weights is None else "none"
        self.cross_entropy = nn.CrossEntropyLoss(
            reduction=self.reduction, label_smoothing=label_smoothing
        )

    def construct(self, image, label):
        logits = self.net(image)
        if isinstance(logits, tuple):
            loss = self.mean(logits[0], label)
            for auxiliary in logits[1:]:
                loss = loss + self.aux_weight * self.mean(auxiliary, label)
            return loss
        return self.mean(logits, label)

    def mean(self, logits, label):
        losses = self.cross_entropy(logits, label)
        if self.weights is None:
            return losses
        # PyTorch's `weight` would multiply what smoothing gives to each class, too: the classes of
        # few images, whose weights are large, would be learnt in all images.
        weights = self.weights[label] if label.ndim == 1 else (self.weights * label).sum(axis=1)
        return (losses * weights).sum() / weights.sum()
