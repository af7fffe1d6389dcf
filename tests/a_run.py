"""The folder of a small training, made in a second, for tests of what reads such folders."""

import json

import mindspore
import numpy as np

import mindres
from mindres.data.as_trained import describe
from mindres.models import save
from mindres.weights.metadata import Metadata

HISTORY = """epoch,loss,accuracy,lr,images_per_second,seconds
1,2.3,0.25,0.1,80.5,3.5
2,1.1,,0.05,81.5,3.25
3,0.6,0.5,0.01,82.5,3.25
"""


def network(arch="lenet5", seed=0, in_channels=3):
    """A network of random weights that says different things of different images; LeNet-5 is compiled at once."""
    mindspore.set_seed(seed)
    net = mindres.create_model(arch, num_classes=10, in_channels=in_channels)
    head = net.head.dense.weight
    head.set_data(
        mindspore.Tensor(np.random.default_rng(seed).normal(0, 0.1, head.shape).astype(np.float32))
    )
    return net


def metadata(data, **changes):
    """What a training on this dataset notes in its checkpoints."""
    recorded = {"epoch": 3, "metric_name": "Accuracy", "metric": 0.5, "run": "abc"}
    return Metadata.of({**describe(data), **recorded, **changes})


def write_run(folder, net, data, **changes):
    """`best.ckpt`, `history.csv` and `config.json` as a training on `data` leaves them; returns the folder."""
    save.save_checkpoint(net, folder / "best.ckpt", **metadata(data, **changes))
    (folder / "history.csv").write_text(HISTORY)
    (folder / "config.json").write_text(
        json.dumps(
            {
                "command": "train.py --arch resnet20 --out '<b>'",
                "run": "abc",
                "seed": 0,
                "lr": 0.1,
                "environment": {"python": "3.11", "device": "CPU"},
            }
        )
    )
    return folder
