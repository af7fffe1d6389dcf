"""PyTorch's pooling from operators that MindSpore has on every device and can export.

MindSpore's `same` pads bottom and right first, PyTorch pads all sides, and the logits differ.
MindSpore's own `pad` mode is a 3D operator, which is slow and not available on every device.
"""

from __future__ import annotations

import numpy as np
from mindspore import Tensor, nn, ops

from mindres.errors import UserError

PAD_MODES = ("same", "pad")


def check_pad_mode(pad_mode):
    """Raise `UserError` unless `pad_mode` is one of `PAD_MODES`."""
    if pad_mode not in PAD_MODES:
        raise UserError(f"unknown pad_mode {pad_mode!r}: choose one of {', '.join(PAD_MODES)}")


class SymmetricMaxPool(nn.Cell):
    """3x3 max-pooling with stride 2 that pads all four sides, as PyTorch's does with `padding=1`.

    Shapes: (N, C, H, W) to (N, C, H / 2, W / 2), rounded up.
    """

    def __init__(self):
        super().__init__()
        self.pool = nn.MaxPool2d(kernel_size=3, stride=2)

    def construct(self, x):
        # Repeating the border does not change a maximum.
        x = ops.concat((x[:, :, :1], x, x[:, :, -1:]), axis=2)
        return self.pool(ops.concat((x[:, :, :, :1], x, x[:, :, :, -1:]), axis=3))


class CeilMaxPool(nn.Cell):
    """3x3 max-pooling with stride 2 whose last window may reach over the border.

    PyTorch's `MaxPool2d(3, 2, ceil_mode=True)`.
    """

    def __init__(self):
        super().__init__()
        self.same = nn.MaxPool2d(kernel_size=3, stride=2, pad_mode="same")
        self.valid = nn.MaxPool2d(kernel_size=3, stride=2, pad_mode="valid")

    def construct(self, x):
        height, width = x.shape[2:]
        # For even sizes `same` pads bottom and right by one, as needed, and is fastest.
        if height % 2 == 0 and width % 2 == 0:
            return self.same(x)
        if height % 2 == 0:
            x = ops.concat((x, x[:, :, -1:]), axis=2)
        if width % 2 == 0:
            x = ops.concat((x, x[:, :, :, -1:]), axis=3)
        return self.valid(x)


class AveragePool3x3(nn.Cell):
    """3x3 average-pooling with stride 1 that keeps the size.

    With `pad_mode` "pad" the mean includes the zeros of the border, as in torchvision; with "same"
    it does not, as in MindCV.
    """

    def __init__(self):
        super().__init__()
        self.pool = nn.AvgPool2d(kernel_size=3, stride=1, pad_mode="same")
        self.pad_mode = "pad"

    def construct(self, x):
        if self.pad_mode == "same":
            return self.pool(x)
        # `same` divides by the number of pixels inside; PyTorch divides by nine.
        return self.pool(x) * inside(x.shape[2], x.shape[3])


@ops.constexpr
def inside(height, width):
    """The fraction of each 3x3 window that lies inside the image, (1, 1, height, width)."""
    rows, columns = (np.convolve(np.ones(size), np.ones(3))[1:-1] / 3 for size in (height, width))
    return Tensor(np.outer(rows, columns)[None, None].astype(np.float32))


class AdaptivePool(nn.Cell):
    """PyTorch's `AdaptiveAvgPool2d`: averages features of any size over a `size` x `size` grid."""

    def __init__(self, size):
        super().__init__()
        self.size = size

    def construct(self, x):
        height, width = x.shape[2:]
        if height == self.size and width == self.size:
            return x
        # MindSpore has an operator for this, but cannot export it.
        rows, columns = averages(self.size, height), averages(self.size, width)
        return ops.matmul(ops.matmul(rows.astype(x.dtype), x), columns.T.astype(x.dtype))


@ops.constexpr
def averages(bins, size):
    """The (bins, size) matrix that averages `size` values over `bins` ranges of similar length."""
    matrix = np.zeros((bins, size), np.float32)
    for i in range(bins):
        first, end = i * size // bins, -(-(i + 1) * size // bins)
        matrix[i, first:end] = 1 / (end - first)
    return Tensor(matrix)
