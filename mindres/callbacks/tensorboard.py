"""Writes a run's curves and predictions for TensorBoard."""

from __future__ import annotations

import copy

from mindspore.train import Callback

from mindres import files
from mindres.data.dataset import ImageDataset
from mindres.errors import UserError
from mindres.evaluation.inference import inference, logits
from mindres.evaluation.probabilities import softmax
from mindres.pictures.drawing import denormalize
from mindres.pictures.prediction_grid import prediction_grid

IMAGES = 24


class TensorBoard(Callback):
    """After each epoch, writes the columns of history.csv and a grid of predictions.

    Args:
        monitor: the `ValAccMonitor` of the run.
        folder: the folder of TensorBoard's files.
        data: the validation `ImageDataset` to draw images from; without one there is no grid.

    Raises:
        UserError: tensorboardX is not installed, or the folder cannot be written to.
    """

    def __init__(self, monitor, folder, data=None):
        super().__init__()
        try:
            from tensorboardX import SummaryWriter
        except ImportError:
            raise UserError(
                "`tensorboard` needs tensorboardX: pip install 'mindres[tensorboard]'"
            ) from None
        self.monitor, self.writer = monitor, SummaryWriter(str(files.make_folder(folder)))
        self.data, self.images = None, None
        if isinstance(data, ImageDataset):
            self.data = copy.copy(data)
            self.data.shuffle, self.data.batch_size, self.data.num_shards = True, IMAGES, None
            self.images, self.labels = next(
                self.data.run().create_tuple_iterator(num_epochs=1, output_numpy=True)
            )

    def on_train_epoch_end(self, run_context):
        if run_context.original_args().get("interrupted"):
            return
        for record in self.monitor.history[-1:]:
            for name, value in {**record.columns(), "metric": record.metric}.items():
                if name != "epoch" and value is not None:
                    self.writer.add_scalar(name, value, record.epoch)
            if self.images is not None:
                self.writer.add_figure("predictions", self._predictions(), record.epoch)
        self.writer.flush()

    def _predictions(self):
        net, classes = self.monitor.network, self.data.classes
        with inference(net, mode=None):
            shares = softmax(logits(net, self.images))
        return prediction_grid(
            denormalize(self.images, self.data.mean, self.data.std),
            [classes[k] for k in shares.argmax(axis=1)],
            [classes[k] for k in self.labels],
            shares.max(axis=1),
        )
