"""The loss of steps, as MindVision's callback of the same name prints it."""

import re

import numpy as np
from mindspore import dataset as ds, nn
from mindspore.train import Model

import mindres


def test_every_second_step_is_printed(capsys):
    images = np.zeros((16, 1, 32, 32), np.float32)
    labels = np.zeros(16, np.int32)
    data = ds.NumpySlicesDataset((images, labels), ["image", "label"], shuffle=False).batch(4)
    net = mindres.lenet5(2)
    optimizer = nn.Momentum(net.trainable_params(), 0.05, 0.9)
    model = Model(net, nn.CrossEntropyLoss(), optimizer)
    monitor = mindres.LossMonitor(0.05, per_print_times=2)
    model.train(2, data, callbacks=[monitor], dataset_sink_mode=False)
    lines = capsys.readouterr().out.splitlines()
    pattern = r"Epoch: \[(\d) / 2\], step: \[(\d) / 4\], loss: \[(\d\.\d{4})\], lr: 5\.00e-02"
    found = [re.fullmatch(pattern, line).groups() for line in lines]
    assert [(epoch, step) for epoch, step, _ in found] == [
        ("1", "2"),
        ("1", "4"),
        ("2", "2"),
        ("2", "4"),
    ]
    losses = [float(loss) for _, _, loss in found]
    assert losses[0] < 1 and losses == sorted(losses, reverse=True)
