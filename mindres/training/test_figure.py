"""Measures the best weights of a run on its test images."""

from __future__ import annotations

from mindres.data.dataset import ImageDataset
from mindres.devices import workers
from mindres.evaluation.evaluator import evaluate
from mindres.models.load import load_weights
from mindres.training.balance import is_uneven
from mindres.training.history import History
from mindres.weights.formats import read_checkpoint


def best_on_test(net, history: History, test_data: ImageDataset | None, tta: bool = False) -> str:
    """Load the best weights of a run into `net` and measure them.

    `net.metadata` is then what their checkpoint notes.

    Args:
        net: the trained network, which has the weights of the last epoch.
        history: what `mindres.train` returned.
        test_data: images that neither trained the network nor chose its weights, or None.
        tta: average over mirror images, as in the run.

    Returns:
        A sentence with the accuracy and its 95% interval; "" in workers other than the first.
    """
    if test_data is None:
        return (
            "No test images: the figures above are of the images that chose the best weights, and "
            "therefore somewhat too good"
        )
    if workers.rank():
        return ""  # the first of several workers measures
    if history.best_ckpt_path is not None:
        load_weights(net, history.best_ckpt_path)
        net.metadata = read_checkpoint(history.best_ckpt_path)[1]
    result = evaluate(net, test_data.plain(), tta=tta and test_data.mirrored)
    low, high = result.interval
    balanced = result.metrics["balanced_accuracy"]
    uneven = is_uneven(result.confusion_matrix.sum(axis=1))
    also = f", balanced accuracy {balanced:.2%}," if uneven else ""
    return (
        f"Test accuracy: {result.accuracy:.2%} (95% interval {low:.2%} to {high:.2%}){also} on "
        f"{result.num_images:,} images that neither trained the network nor chose its weights"
    )
