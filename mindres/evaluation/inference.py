"""Runs a network in inference and sets everything back."""

from __future__ import annotations

import contextlib
import threading

import mindspore
import numpy as np

from mindres.native.accelerate import accelerated
from mindres.native.precision import element_type, for_inference, resolve_amp
from mindres.signals import deferred_signals, signal_handler

# MindSpore's graph mode ends the process with a segmentation fault where two threads run networks
# at once, and its PyNative mode gives wrong answers. Blocks of one thread may nest.
one_at_a_time = threading.RLock()


def logits(net, images: np.ndarray, size: int = 0) -> np.ndarray:
    """The logits, float (N, num_classes), of normalised images (N, C, H, W), inside `inference`.

    Fewer than `size` images are filled up to `size`: a compiled network takes seconds for every new
    shape.
    """
    count = len(images)
    if count < size:
        images = np.concatenate(
            [images, np.broadcast_to(images[:1], (size - count, *images.shape[1:]))]
        )
    with deferred_signals():  # where MindSpore is stopped while it compiles, it leaves files behind
        return net(mindspore.Tensor(np.ascontiguousarray(images))).asnumpy()[:count]


@contextlib.contextmanager
def in_mode(mode=None):
    """In this block MindSpore runs in `mode`; the mode of before is set back afterwards.

    None leaves the mode as it is. One thread at a time is in such a block; others wait. Ctrl-C and
    SIGTERM are answered as before, whatever handlers MindSpore installs.
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
    """In this block `net` infers and MindSpore runs in `mode`; both are set back afterwards.

    None leaves the mode as it is. On CPU its convolutions are the native ones where they can be
    had. Threads take turns, as `in_mode` says.

    Yields:
        the network to call: `net`, or where mixed precision takes one a copy of it.

    Raises:
        UserError: there is no such `amp_level` on this device.
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
