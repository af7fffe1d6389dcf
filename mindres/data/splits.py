"""Splits images into those to train on and those held out."""

from __future__ import annotations

import numpy as np

from mindres.errors import UserError


def stratified_split(labels, fraction: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Indices (kept, held out) with `fraction` of each class held out, the same ones for the same seed."""
    from sklearn.model_selection import train_test_split

    try:
        kept, held = train_test_split(
            np.arange(len(labels)), test_size=fraction, stratify=labels, random_state=seed
        )
    except ValueError as error:
        raise UserError(
            f"{fraction} of these images cannot be held out class by class: {error}"
        ) from None
    return np.sort(kept), np.sort(held)
