"""Features of a frozen backbone, computed once and kept in the user's cache.

Many epochs of a classifier then cost one pass of inference.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator

from mindspore import dataset as ds, nn
from tqdm import tqdm

from mindres import files
from mindres.data.pipeline import check_batch_size
from mindres.data.sampling import balanced_weights
from mindres.devices import workers
from mindres.evaluation.inference import inference, logits
from mindres.evaluation.likeness import Features
from mindres.training.kept_features import KeptFeatures, write_features


class Body(nn.Cell):
    """The frozen part of a network: the backbone, and the neck if it has no parameters."""

    def __init__(self, net):
        super().__init__(auto_prefix=False)
        self.backbone = net.backbone
        self.neck = net.neck if net.with_neck and not list(net.neck.get_parameters()) else None

    def construct(self, x):
        x = self.backbone(x)
        return x if self.neck is None else self.neck(x)


class Tail(nn.Cell):
    """The part after `Body`, from features to logits."""

    def __init__(self, net):
        super().__init__(auto_prefix=False)
        self.neck = net.neck if net.with_neck and list(net.neck.get_parameters()) else None
        self.head = net.head

    def construct(self, x):
        return self.head(x if self.neck is None else self.neck(x))


def feature_batches(net, data, shuffle: bool, balanced: bool = False, amp_level="O0"):
    """A MindSpore dataset of (feature, label) batches of an `ImageDataset`, not augmented.

    With `balanced`, all classes are drawn equally often.
    """
    kept = features_of(net, data.plain(), amp_level)
    order: dict = {"shuffle": shuffle}
    if balanced:
        weights = balanced_weights(kept.labels).tolist()
        order = {"sampler": ds.WeightedRandomSampler(weights, len(weights))}
    # One thread: the rows have one place in the file in common.
    images = ds.GeneratorDataset(kept, ["image", "label"], num_parallel_workers=1, **order)
    check_batch_size(data, images)
    return images.batch(data.batch_size, drop_remainder=data.drop_remainder)


def warn_of_augmentation(data) -> None:
    """Warn of the augmentations of `data` that have no effect on cached features."""
    off = {"auto_augment": "none", "random_erasing": 0, "mixup": 0, "cutmix": 0}
    unused = [f"`{name}`" for name, value in off.items() if getattr(data, name) != value]
    if unused:
        have = "has" if len(unused) == 1 else "have"
        workers.warn(
            f"{' and '.join(unused)} {have} no effect: the features of the frozen backbone are "
            "computed once, from images that are not augmented"
        )


def features_of(net, data, amp_level="O0", *, tta=False, of_classifier=False) -> KeptFeatures:
    """Features, float32 (N, ...), and labels, int32 (N,), of all images of `data`.

    They are kept in the user's cache under a digest of the body's weights, the data's files and
    transforms, the level of mixed precision, and `tta`.

    Args:
        net: the network.
        data: an `ImageDataset` that is not augmented.
        amp_level: mixed precision.
        tta: average the features of each image and its mirror image.
        of_classifier: the inputs of the classifier instead of the outputs of the frozen part, which
            come earlier in a network like LeNet-5, whose neck has parameters.
    """
    body = Features(net) if of_classifier else Body(net)
    precision = "" if amp_level == "O0" else amp_level
    how = precision + ("tta" if tta else "")
    key = hashlib.sha256(data.fingerprint().encode() + how.encode())
    for parameter in body.get_parameters():
        key.update(parameter.name.encode() + parameter.asnumpy().tobytes())
    path = files.cache_dir() / "features" / f"{key.hexdigest()[:32]}.npy"
    with contextlib.suppress(OSError, ValueError, EOFError):  # it is missing, or damaged
        return KeptFeatures(path)
    with files.atomic_write(path) as part:
        write_features(part, _compute(body, data, amp_level, tta))
    return KeptFeatures(path)


def _compute(body, data, amp_level, tta) -> Iterator[tuple]:
    """Yield the features and labels of the images of `data`, batch by batch."""
    loader = data.run()
    with inference(body, mode=None, amp_level=amp_level) as body:
        for images, labels in tqdm(
            loader.create_tuple_iterator(num_epochs=1, output_numpy=True),
            unit="batch",
            total=loader.get_dataset_size(),
            desc="computing features",
            disable=None,
        ):
            yield logits(body, images, data.batch_size, tta), labels
