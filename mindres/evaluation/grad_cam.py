"""Grad-CAM heat maps: the parts of an image that support a class."""

from __future__ import annotations

from dataclasses import dataclass

import mindspore
import numpy as np
from mindspore import Tensor, ops

from mindres.evaluation.inference import inference
from mindres.evaluation.stages import hooked, stage_cell, stage_shapes

# The fewest cells on a side of a heat map by default; smaller maps hardly locate anything.
SMALLEST_MAP = 4


@dataclass
class GradCam:
    """Heat maps of images.

    heat: float (N, h, w) in [0, 1], at the size of the feature maps of `stage`.
    classes: int (N,), the classes that are explained.
    """

    heat: np.ndarray
    classes: np.ndarray
    stage: str


def grad_cam(net, images, classes=None, stage=None, amp_level="O0") -> GradCam:
    """Grad-CAM (arXiv:1610.02391, equations 1 and 2), scaled to a largest value of 1 per image.

    Args:
        net: a network of this package.
        images: normalised images, float (N, C, H, W).
        classes: the class to explain for each image, int (N,); None for the predicted ones.
        stage: one of `stages(net)`; None for the deepest whose maps have at least 4x4 cells. For a
            ResNet that is the last one at 224x224, but not at 32x32, where its maps have one cell.
        amp_level: mixed precision, as in `mindres.train`.

    Raises:
        UserError: the network has no such stage, or the device does not support `amp_level`.
    """
    images = Tensor(np.asarray(images, np.float32))
    with inference(net, mindspore.PYNATIVE_MODE, amp_level) as inferring:
        shapes, scores = stage_shapes(inferring, images)
        stage = stage or _deepest(shapes)
        if classes is None:
            classes = scores.argmax(axis=1)
        classes = np.asarray(classes)
        picked = Tensor(classes.astype(np.int32)[:, None])
        seen = {}

        def add_delta(cell, inputs, output):
            seen["maps"] = output
            return output + seen["delta"]

        def score(delta):
            # The gradient with respect to the maps is the one with respect to zeros added to them.
            seen["delta"] = delta
            return ops.gather_elements(inferring(images), 1, picked).sum()

        with hooked({stage: stage_cell(inferring, stage)}, lambda name: add_delta):
            gradient = mindspore.grad(score)(ops.zeros(shapes[stage], mindspore.float32)).asnumpy()
    weights = gradient.mean(axis=(2, 3), keepdims=True)
    heat = np.maximum((weights * seen["maps"].asnumpy()).sum(axis=1), 0)
    return GradCam(heat / np.maximum(heat.max(axis=(1, 2), keepdims=True), 1e-12), classes, stage)


def _deepest(shapes):
    large = [name for name, shape in shapes.items() if min(shape[2:]) >= SMALLEST_MAP]
    return large[-1] if large else max(shapes, key=lambda name: shapes[name][2])
