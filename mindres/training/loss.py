"""The training loss: cross entropy with label smoothing and class weights."""

from __future__ import annotations

import mindspore
from mindspore import nn


class Loss(nn.Cell):
    """The mean cross entropy of a network's logits.

    Takes images (N, C, H, W) and labels, int (N,), or probabilities (N, classes). Auxiliary logits
    of the network have the weight `net.aux_weight`. With `class_weights`, float32 (classes,), the
    mean is weighted by class.
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
        # PyTorch's `weight` also weights the share that smoothing gives to each class: all images
        # would teach the small classes, whose weights are large.
        weights = self.weights[label] if label.ndim == 1 else (self.weights * label).sum(axis=1)
        return (losses * weights).sum() / weights.sum()
