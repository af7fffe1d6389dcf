"""Builds the MindSpore dataset of batches for an `ImageDataset`."""

from __future__ import annotations

from mindspore import dataset as ds, int32
from mindspore.dataset import transforms, vision

from mindres.data.batch_augment import BatchTransform
from mindres.data.dataset import ImageDataset
from mindres.data.sampling import sampler
from mindres.errors import UserError


def batches(data):
    """The MindSpore dataset of an `ImageDataset`; other datasets are returned unchanged."""
    return data.run() if isinstance(data, ImageDataset) else data


def pipeline(data: ImageDataset):
    """The MindSpore dataset of batches that `data.run()` returns."""
    images = None if _one_by_one(data) else data.augmented_source(sampler(data))
    on_batches = _batch_transform(data) if images is None else None
    mixing = _mixing(data)
    if images is None:
        images = data.source(sampler(data))
        if not on_batches:
            images = _map_images(data, images)
    images = _map_labels(data, images, one_hot=mixing is not None)
    check_batch_size(data, images)
    images = images.batch(data.batch_size, drop_remainder=data.drop_remainder)
    if on_batches:
        images = images.map(on_batches, "image", num_parallel_workers=1)
    if mixing:
        images = images.map(mixing, ["image", "label"], num_parallel_workers=1)
    else:
        images = images.map(transforms.TypeCast(int32), "label")
    return images.repeat(data.repeat_num)


def _map_images(data, images: ds.Dataset) -> ds.Dataset:
    workers = data.num_parallel_workers
    # The results of MindSpore's random operations depend on the number of threads, so a single
    # thread does them: they then follow from the seed alone.
    if data.transform:
        images = images.map(data.transform, "image", num_parallel_workers=workers)
    else:
        deterministic = [*data.fit(), *data.normalize()]
        if random := data.random_transform():
            images = images.map([*data.convert(), *random], "image", num_parallel_workers=1)
        else:
            deterministic = [*data.convert(), *deterministic]
        images = images.map(deterministic, "image", num_parallel_workers=workers)
    if data.random_erasing and data.augment:
        erasing = vision.RandomErasing(data.random_erasing)
        images = images.map(erasing, "image", num_parallel_workers=1)
    return images


def _map_labels(data, images: ds.Dataset, one_hot: bool) -> ds.Dataset:
    workers = data.num_parallel_workers
    if data.target_transform:
        images = images.map(data.target_transform, "label", num_parallel_workers=workers)
    if one_hot:
        operation = transforms.OneHot(len(data.classes))
        images = images.map(operation, "label", num_parallel_workers=workers)
    return images


def check_batch_size(data, images: ds.Dataset) -> None:
    """Refuse batches that are larger than the data set, of which not one would be whole."""
    count = images.get_dataset_size()
    if data.drop_remainder and count < data.batch_size:
        raise UserError(
            f"`batch_size={data.batch_size}` is larger than the {count} training images of "
            f"{data.name}: lower it"
        )


def _batch_transform(data) -> BatchTransform | None:
    """The transform of whole batches in place of `default_transform()`; None if there is none."""
    if _one_by_one(data) or not data.fits():
        return None
    return BatchTransform(
        data.shift if data.augment else 0,
        data.mirrored and data.augment,
        data.mean,
        data.std,
        data.shard_id or 0,
    )


def _one_by_one(data) -> bool:
    """Whether MindSpore's operations must process single images."""
    erases = data.random_erasing or data.auto_augment != "none"
    return bool(data.transform or (data.augment and erases))


def _mixing(data):
    """The operation of mixup or CutMix on batches, or None."""
    if data.mixup and data.augment:
        return vision.MixUpBatch(data.mixup)
    if data.cutmix and data.augment:
        return vision.CutMixBatch(vision.ImageBatchFormat.NCHW, data.cutmix, 1.0)
    return None
