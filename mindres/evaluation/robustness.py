"""How much of a network's accuracy is left on images that are noisy, blurred, pale and the like."""

from __future__ import annotations

import html
from dataclasses import dataclass

import numpy as np

from mindres.data.pipeline import batches
from mindres.evaluation.corruptions import CORRUPTIONS, STRENGTHS, corrupt
from mindres.evaluation.inference import inference, labeled_batches, logits


@dataclass
class Robustness:
    """Accuracies, as fractions, on the same `num_images` images.

    clean: on the images as they are.
    corrupted: by the name of each corruption, at each of `STRENGTHS`.
    """

    num_images: int
    clean: float
    corrupted: dict[str, list[float]]

    @property
    def mean(self) -> float:
        """The mean over all corruptions and strengths."""
        return float(np.mean(list(self.corrupted.values())))

    def to_json(self) -> dict:
        """The accuracies as JSON values."""
        return {
            "clean": self.clean,
            "mean": self.mean,
            "strengths": list(STRENGTHS),
            "corrupted": self.corrupted,
        }

    def __str__(self) -> str:
        heads = " ".join(f"{name:>7}" for name in STRENGTHS)
        lines = [
            f"accuracy {self.clean:.2%}, and {self.mean:.2%} on corrupted images, the mean over "
            f"{len(self.corrupted)} corruptions of {self.num_images:,} images",
            "",
            f"{'corruption':14} {heads}",
        ]
        for name, shares in self.corrupted.items():
            lines.append(f"{name:14} {' '.join(f'{share:7.2%}' for share in shares)}")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(str(self))}</pre>"


def robustness(net, data, tta=False, amp_level="O0") -> Robustness:
    """Measure `net` on the images of `data`, as they are and with every corruption.

    Images are corrupted after they were cut to what the network takes, as those of CIFAR-10-C and
    ImageNet-C are. The noise is the same in every call.

    Args:
        net: a network of this package.
        data: an `ImageDataset`, which says how its images were normalised.
        tta, amp_level: as for `evaluate`.

    Raises:
        UserError: there are no images, or the network takes no images of their shape.
    """
    mean, std = (np.array(each, np.float32)[:, None, None] for each in (data.mean, data.std))
    cases = [(name, i) for name in CORRUPTIONS for i in range(len(STRENGTHS))]
    right = np.zeros(1 + len(cases), np.int64)
    count = size = 0
    with inference(net, amp_level=amp_level) as inferring:
        for images, labels in labeled_batches(net, batches(data), "corrupting"):
            size = max(size, len(images))
            shown = np.clip(images * std + mean, 0, 1)
            for k in range(len(right)):
                if k:
                    changed = corrupt(shown, *cases[k - 1], np.random.default_rng([k, count]))
                    images = (changed - mean) / std
                answers = logits(inferring, images, size, tta).argmax(axis=1)
                right[k] += int((answers == labels).sum())
            count += len(labels)
    shares = (right / count).tolist()
    corrupted: dict[str, list[float]] = {name: [] for name in CORRUPTIONS}
    for (name, _), share in zip(cases, shares[1:]):
        corrupted[name].append(share)
    return Robustness(count, shares[0], corrupted)
