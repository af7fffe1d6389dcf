"""A checkpoint that the server answers with; MindSpore runs it."""

from __future__ import annotations

import io
import threading
from collections.abc import Sequence

import numpy as np
from PIL import Image

from mindres.data import as_trained
from mindres.evaluation.grad_cam import grad_cam
from mindres.evaluation.predictor import class_names, predict
from mindres.models.checkpoints import load_model
from mindres.pictures.heat_map import overlay


class Checkpoint:
    """The network of a checkpoint, with the methods of `EndToEndFile`, and `explain`.

    Raises:
        UserError: the checkpoint cannot be read, or does not say how its images are prepared.
    """

    def __init__(self, path):
        self.net, self.metadata = load_model(path)
        as_trained.check_says_how(self.metadata)
        self.classes = class_names(self.net, self.metadata)
        self._preparing = threading.Lock()

    def prepare(self, image: np.ndarray) -> np.ndarray:
        """The network's input, float32 (C, h, w), for a uint8 RGB image (H, W, 3)."""
        with self._preparing:
            return as_trained.preprocess(image, self.metadata)

    def probabilities(self, prepared: Sequence[np.ndarray]) -> np.ndarray:
        """The probabilities, float32 (N, classes), of N prepared images."""
        return predict(self.net, np.stack(prepared), self.metadata).probabilities

    def explain(self, image: np.ndarray) -> bytes:
        """A PNG file: the Grad-CAM of the most probable class over the cropped image."""
        found = grad_cam(self.net, self.prepare(image)[None])
        picture = overlay(as_trained.visible(image, self.metadata), found.heat[0])
        out = io.BytesIO()
        Image.fromarray((picture * 255).round().astype(np.uint8)).save(out, "PNG")
        return out.getvalue()
