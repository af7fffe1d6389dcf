"""The images of a split, their order and their shard."""

from __future__ import annotations

import numpy as np
from mindspore import dataset as ds

from mindres.errors import UserError


def split_indices(data) -> np.ndarray | None:
    """The indices of the split's images among those in the files of `data`; None for all.

    Raises:
        UserError: the split is "val", and no images are held out of training.
    """
    if data.split == "test":
        return None
    if data.validation_fraction:
        train, val = data.train_and_val()
        return train if data.split == "train" else val
    if data.split == "val":
        raise UserError(
            f"{data.name} holds no images out of its training split: give `validation_fraction`"
        )
    return None


def balanced_weights(labels) -> np.ndarray:
    """Weights of images, (N,), by which all classes are drawn equally often."""
    return 1 / np.bincount(labels)[labels]


def sampler(data):
    """A MindSpore sampler for the split, order and shard of `data`.

    Shards that are not shuffled may differ in length by one, since no image is repeated:
    evaluation counts each image once. Shuffled shards have the same length, for equal steps.
    """
    indices = data.indices()
    if data.balanced and data.shuffle:
        weights = np.zeros(len(data.labels()))
        chosen = np.arange(len(weights)) if indices is None else indices
        weights[chosen] = balanced_weights(data.labels()[chosen])
        return ds.WeightedRandomSampler(weights.tolist(), len(chosen))
    if data.num_shards is None:
        if indices is None:
            return ds.RandomSampler() if data.shuffle else ds.SequentialSampler()
        kind = ds.SubsetRandomSampler if data.shuffle else ds.SubsetSampler
        return kind(indices.tolist())
    if indices is None:
        indices = np.arange(len(data.labels()))
    if not data.shuffle:
        return ds.SubsetSampler(indices[data.shard_id :: data.num_shards].tolist())
    shard = ds.DistributedSampler(data.num_shards, data.shard_id, shuffle=True)
    shard.add_child(ds.SubsetSampler(indices.tolist()))
    return shard
