"""How good a network is on labelled images."""

from __future__ import annotations

import contextlib
import math
from dataclasses import dataclass

import mindspore
import numpy as np
from tqdm import tqdm

from mindres.accelerate import accelerated
from mindres.data import DATASETS, Mnist
from mindres.errors import UserError, interrupted_later, listen
from mindres.training import batches
from mindres.zoo import FACTS, check_images

BATCH_SIZE = 64


@dataclass
class Evaluation:
    """Results over `num_images` images.

    Fractions for `accuracy` and `top5`, the mean cross entropy `loss`, and `confusion_matrix[true, predicted]` in
    images; `classes` are the classes' names. In the order of the images, `labels` and `predicted` are int (N,) and
    `probabilities` float32 (N, classes).
    """

    accuracy: float
    top5: float
    loss: float
    num_images: int
    confusion_matrix: np.ndarray
    classes: list[str]
    labels: np.ndarray
    predicted: np.ndarray
    probabilities: np.ndarray

    def per_class(self) -> list[dict]:
        """For each class its name as `class`, the fractions `precision`, `recall` and `f1`, and `support` in images.

        A fraction of nothing is 0, as with scikit-learn's `zero_division=0`.
        """
        right = self.confusion_matrix.diagonal()
        said, support = self.confusion_matrix.sum(0), self.confusion_matrix.sum(1)
        scores = zip(self.classes, right / np.maximum(said, 1), right / np.maximum(support, 1),
                     2 * right / np.maximum(said + support, 1), support)
        return [{"class": name, "precision": float(p), "recall": float(r), "f1": float(f), "support": int(s)}
                for name, p, r, f, s in scores]

    def mistakes(self) -> np.ndarray:
        """Positions of the wrongly classified images, the most confident mistake first."""
        wrong = np.flatnonzero(self.predicted != self.labels)
        return wrong[np.argsort(-self.probabilities[wrong].max(axis=1), kind="stable")]

    def to_json(self) -> dict:
        """The results as JSON values; a number that is not finite becomes null."""
        return {"accuracy": self.accuracy, "top5": self.top5, "loss": self.loss if math.isfinite(self.loss) else None,
                "num_images": self.num_images, "classes": self.classes, "per_class": self.per_class(),
                "confusion_matrix": self.confusion_matrix.tolist()}

    def __str__(self):
        width = max(5, *(len(name) for name in self.classes))
        lines = [f"accuracy {self.accuracy:.2%}, top-5 {self.top5:.2%}, loss {self.loss:.4f} on {self.num_images:,} "
                 "images", "", f"{'class':{width}}  precision  recall      f1  images"]
        lines += [f"{row['class']:{width}}  {row['precision']:9.2%} {row['recall']:7.2%} {row['f1']:7.2%} "
                  f"{row['support']:7,}" for row in self.per_class()]
        if len(self.classes) <= 20:
            lines += ["", "confusion matrix: a row for each true class, a column for each prediction"]
            digits = len(str(self.confusion_matrix.max()))
            lines += [f"{name:{width}}  " + " ".join(f"{count:{digits}d}" for count in row)
                      for name, row in zip(self.classes, self.confusion_matrix)]
        return "\n".join(lines)


def evaluate(net, data, classes=None, tta=False) -> Evaluation:
    """Measure `net` on every image of `data` once, in graph mode; the caller's mode is set back afterwards.

    Args:
        net: a network of this package.
        data: an `ImageDataset`, or a MindSpore dataset of (image, label) batches.
        classes: the classes' names; None takes the data's, or numbers.
        tta: average the logits of an image and of its mirror image.

    Raises:
        UserError: there are no images, or a label is not one of the network's classes.
    """
    loader = batches(data)
    answers, labels = [], []
    with inference(net):
        size = 0
        for images, batch_labels in tqdm(loader.create_tuple_iterator(num_epochs=1, output_numpy=True),
                                         total=loader.get_dataset_size(), desc="evaluating", unit="batch",
                                         disable=None, leave=False):
            listen()
            check_images(net, images.shape[2:])
            size = max(size, len(images))
            answer = logits(net, images, size)
            answers.append((answer + logits(net, images[..., ::-1], size)) / 2 if tta else answer)
            labels.append(batch_labels)
    if not labels:
        raise UserError("there are no images to evaluate")
    scores, labels = np.concatenate(answers).astype(np.float64), np.concatenate(labels)
    count = scores.shape[1]
    if labels.max() >= count or labels.min() < 0:
        raise UserError(f"the data has the label {labels.max()} and the network only {count} classes: name the "
                        "dataset that it was trained on")
    names = [str(name) for name in (classes or getattr(data, "classes", None) or range(count))]
    if len(names) != count:
        raise UserError(f"the data has {len(names)} classes and the network {count}: name the dataset that it was "
                        "trained on")
    shifted = scores - scores.max(axis=1, keepdims=True)
    log_probabilities = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    order = np.argsort(-scores, axis=1, kind="stable")
    confusion = np.zeros((count, count), np.int64)
    np.add.at(confusion, (labels, order[:, 0]), 1)
    return Evaluation(accuracy=float((order[:, 0] == labels).mean()),
                      top5=float((order[:, :5] == labels[:, None]).any(axis=1).mean()),
                      loss=float(-log_probabilities[np.arange(len(labels)), labels].mean()),
                      num_images=len(labels), confusion_matrix=confusion, classes=names, labels=labels,
                      predicted=order[:, 0], probabilities=np.exp(log_probabilities).astype(np.float32))


def logits(net, images: np.ndarray, size: int = 0) -> np.ndarray:
    """The network's answer, inside `inference`, to normalised images (N, C, H, W): float (N, num_classes).

    Fewer than `size` images are filled up to `size`: a compiled network takes seconds for every new shape.
    """
    count = len(images)
    if count < size:
        images = np.concatenate([images, np.broadcast_to(images[:1], (size - count, *images.shape[1:]))])
    with interrupted_later():  # where MindSpore is stopped while it compiles, it leaves files behind
        return net(mindspore.Tensor(np.ascontiguousarray(images))).asnumpy()[:count]


@contextlib.contextmanager
def inference(net, mode=mindspore.GRAPH_MODE):
    """In this block `net` infers in `mode`; its own setting and the process's mode are set back afterwards.

    On CPU its convolutions are the native ones where they can be had.
    """
    training, before = net.training, mindspore.get_context("mode")
    mindspore.set_context(mode=mode)
    net.set_train(False)
    try:
        with accelerated(net, fixed=True):
            yield
    finally:
        net.set_train(training)
        mindspore.set_context(mode=before)


def open_data(metadata, dataset=None, path="./datasets", split="test", **options):
    """The dataset that a checkpoint with this `metadata` was trained on, or another one, fed as it was trained.

    Args:
        metadata: as `load_model` returns it, with the network's `architecture`.
        dataset: one of `mindres.data.DATASETS`; None for the one that the metadata names.
        path: the dataset's folder.
        split: "test", "val" or "train".
        options: of the dataset, such as `batch_size`.

    Raises:
        UserError: the metadata names no dataset, its files are missing or damaged, or it does not fit the network.
    """
    name, architecture = dataset or metadata.get("dataset"), metadata.get("architecture", {})
    # Checkpoints name the class.
    kinds = {**DATASETS, **{kind.__name__.lower(): kind for kind in DATASETS.values()}}
    if name not in kinds:
        raise UserError(f"the checkpoint does not say which dataset it was trained on: name one with --dataset "
                        f"({', '.join(DATASETS)})")
    options = {"batch_size": BATCH_SIZE, **options}
    if "input_size" in metadata:
        options.setdefault("resize", metadata["input_size"])
    elif architecture:
        options.setdefault("resize", FACTS[architecture["arch"]].input_shape[1:])
    if kinds[name] is Mnist:
        options.setdefault("channels", architecture.get("in_channels", 1))
    data = kinds[name](path, split=split, **options)
    channels = len(data.mean)
    if architecture.get("in_channels", channels) != channels:
        raise UserError(f"{name} has images of {channels} channels and the network takes {architecture['in_channels']}")
    trained = metadata.get("classes", [])
    if set(trained) != set(data.classes) and len(trained) == len(data.classes):
        other = next(own for own in data.classes if own not in trained)
        raise UserError(f"{name} has the class {other!r}, which the checkpoint was not trained on: name the dataset "
                        "that it was trained on")
    for statistic in ("mean", "std"):
        if len(metadata.get(statistic, ())) == channels:
            setattr(data, statistic, tuple(metadata[statistic]))
    return data


def visit(data, positions):
    """Yield (position, normalised image (C, H, W)) for these positions in the order of `data`, each once.

    `data` is an `ImageDataset` that is not shuffled.
    """
    wanted, start = np.unique(np.asarray(positions, np.int64)), 0
    for images, _ in batches(data).create_tuple_iterator(num_epochs=1, output_numpy=True):
        listen()
        while len(wanted) and wanted[0] < start + len(images):
            yield int(wanted[0]), images[wanted[0] - start]
            wanted = wanted[1:]
        if not len(wanted):
            return
        start += len(images)


def pick(data, positions) -> np.ndarray:
    """The images at these positions, as `visit` finds them: (N, C, H, W)."""
    found = dict(visit(data, positions))
    return np.stack([found[position] for position in positions])
