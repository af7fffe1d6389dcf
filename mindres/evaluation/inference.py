"""Runs a network in inference mode, and restores all modes afterwards."""

from __future__ import annotations

import contextlib
import threading

import mindspore
import numpy as np
from tqdm import tqdm

from mindres.errors import UserError
from mindres.models.build import check_images
from mindres.native.accelerate import accelerated
from mindres.native.precision import element_type, for_inference, resolve_amp
from mindres.signals import deferred_signals, signal_handler

# If two threads run networks at once, MindSpore's graph mode crashes with a segmentation fault, and
# its PyNative mode gives wrong results. Blocks of one thread may be nested.
one_at_a_time = threading.RLock()


def labeled_batches(net, loader, doing: str):
    """The batches of a MindSpore dataset, (images, labels) as arrays, with a progress bar.

    Raises:
        UserError: there are none, or `net` takes no images of their shape.
    """
    empty = True
    for images, labels in tqdm(
        loader.create_tuple_iterator(num_epochs=1, output_numpy=True),
        total=loader.get_dataset_size(),
        desc=doing,
        unit="batch",
        disable=None,
        leave=False,
    ):
        check_images(net, images.shape[1:])
        empty = False
        yield images, labels
    if empty:
        raise UserError("there are no images to evaluate")


def logits(net, images: np.ndarray, size: int = 0, tta: bool = False) -> np.ndarray:
    """The logits, float (N, num_classes), of normalised images (N, C, H, W), inside `inference`.

    Fewer than `size` images are padded to `size`, because compiling a network for a new shape takes
    seconds. With `tta` they are averaged with the logits of the mirror images.
    """
    if tta:
        return (logits(net, images, size) + logits(net, images[..., ::-1], size)) / 2
    count = len(images)
    if count < size:
        images = np.concatenate(
            [images, np.broadcast_to(images[:1], (size - count, *images.shape[1:]))]
        )
    with deferred_signals():  # MindSpore leaves files behind if it is stopped while it compiles
        return net(mindspore.Tensor(np.ascontiguousarray(images))).asnumpy()[:count]


@contextlib.contextmanager
def in_mode(mode=None):
    """Run MindSpore in `mode` in this block, and restore the previous mode afterwards.

    None keeps the mode. Only one thread at a time can be in such a block; others wait. The handlers
    of Ctrl-C and SIGTERM stay in charge, whatever handlers MindSpore installs.
    """
    with one_at_a_time, signal_handler():
        before = mindspore.get_context("mode")
        mindspore.set_context(mode=before if mode is None else mode)
        try:
            yield
        finally:
            mindspore.set_context(mode=before)


@contextlib.contextmanager
def inference(net, mode=mindspore.GRAPH_MODE, amp_level="O0"):
    """Put `net` in inference mode and MindSpore in `mode` in this block, and restore both.

    None keeps the mode. On CPU the network uses the native operators if they are available. Threads
    take turns, see `in_mode`.

    Yields:
        The network to call: `net`, or its copy for mixed precision.

    Raises:
        UserError: the device does not support `amp_level`.
    """
    level = resolve_amp(amp_level)
    with in_mode(mode):
        training = net.training
        net.set_train(False)
        try:
            inferring = for_inference(net, level)
            with accelerated(inferring, fixed=True, dtype=element_type(level)):
                yield inferring
        finally:
            net.set_train(training)
