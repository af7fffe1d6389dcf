"""Whole batches against PyTorch's padding and slicing, and against MindSpore's operations on one image."""

import mindspore
import numpy as np
import pytest
import torch
from mindspore.dataset import vision

from mindres.data.batch_augment import BatchTransform, normalized, shifted
from mindres.data.digits import Digits

RANDOM = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def _seed():
    yield
    mindspore.dataset.config.set_seed(5489)


@pytest.mark.parametrize("channels", [1, 3])
def test_shifted_images_are_pytorchs(channels):
    images = RANDOM.integers(1, 256, (81, 7, 5, channels), np.uint8)
    top, left = (RANDOM.permutation(81) % 9 for _ in range(2))
    bordered = torch.nn.functional.pad(torch.from_numpy(images), (0, 0, 4, 4, 4, 4))
    wanted = torch.stack([image[y : y + 7, x : x + 5] for image, y, x in zip(bordered, top, left)])
    np.testing.assert_array_equal(shifted(images, top, left, 4), wanted.numpy())


@pytest.mark.parametrize("channels", [1, 3])
def test_normalised_images_are_mindspores(channels):
    images, mean, std = (
        RANDOM.integers(0, 256, (3, 4, 5, channels), np.uint8),
        (0.5, 0.4, 0.3),
        (0.2, 0.3, 0.1),
    )
    operation = vision.Normalize([255 * m for m in mean], [255 * s for s in std])
    wanted = np.stack(
        [operation(np.broadcast_to(image, (4, 5, 3)).copy()).transpose(2, 0, 1) for image in images]
    )
    got = normalized(images, mean, std)
    assert got.dtype == np.float32 and got.flags["C_CONTIGUOUS"]
    np.testing.assert_allclose(got, wanted, rtol=1e-6, atol=1e-6)


def test_shifts_and_mirrors_are_drawn_evenly():
    # The place of the one pixel that is not black, and whether the one to its right came along, tell what was done.
    images = np.zeros((20_000, 5, 5, 1), np.uint8)
    images[:, 2, 2], images[:, 2, 3] = 100, 200
    given = images.copy()
    mindspore.dataset.config.set_seed(3)
    out = BatchTransform(1, True, (0,), (1,))(images)[:, 0].reshape(-1, 25)
    place = np.rint(out * 255) == 100
    np.testing.assert_array_equal(place.sum(1), 1)
    position = place.argmax(1)
    mirrored = np.rint(np.take_along_axis(out, position[:, None] - 1, 1)[:, 0] * 255) == 200
    counts = np.bincount(np.unique(position * 2 + mirrored, return_inverse=True)[1])
    assert len(counts) == 18
    np.testing.assert_allclose(counts, 20_000 / 18, rtol=0.12)  # four standard deviations
    np.testing.assert_array_equal(images, given)


def epochs(shard=0, workers=1):
    data = Digits(
        split="train",
        batch_size=60,
        resize=8,
        num_shards=2,
        shard_id=shard,
        num_parallel_workers=workers,
    )
    mindspore.dataset.config.set_seed(7)
    return np.stack(
        [images for images, _ in data.run().create_tuple_iterator(num_epochs=2, output_numpy=True)]
    )


def test_the_draw_follows_from_the_seed_and_the_shard():
    first = epochs()
    np.testing.assert_array_equal(first, epochs())
    np.testing.assert_array_equal(first, epochs(workers=2))
    transforms = [BatchTransform(4, True, (0,) * 3, (1,) * 3, shard) for shard in (0, 0, 1)]
    images = RANDOM.integers(0, 256, (8, 32, 32, 3), np.uint8)
    same, again, other = (transform(images) for transform in transforms)
    np.testing.assert_array_equal(same, again)
    assert np.abs(same - other).max() > 0.1
    assert np.abs(transforms[0](images) - same).max() > 0.1, "the next batch is drawn anew"
    mindspore.dataset.config.set_seed(8)
    assert np.abs(transforms[1](images) - same).max() > 0.1, "so is another seed's"
