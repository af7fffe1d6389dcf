"""Print the losses of ten training steps in single precision: the same steps on any device, for comparison.

    python tests_gpu/ten_steps.py --device_target GPU --arch resnet20 --weights start.ckpt

Without the file --weights, its weights are made at random and kept there.
"""

import argparse
import json
from pathlib import Path

import mindres


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--device_target", required=True)
    parser.add_argument("--arch", required=True)
    parser.add_argument("--weights", type=Path, required=True)
    args = parser.parse_args()
    assert mindres.set_device(args.device_target) == args.device_target

    import mindspore
    import numpy as np
    from mindspore import nn
    from sklearn.datasets import load_digits

    if args.device_target == "GPU":
        from mindspore.device_context.gpu import op_precision

        op_precision.conv_allow_tf32(False)
        op_precision.matmul_allow_tf32(False)
    mindspore.set_context(mode=mindspore.GRAPH_MODE)
    mindspore.set_seed(0)
    from mindres.training.trainer import zero_last_gammas

    net = mindres.create_model(args.arch, num_classes=10)
    # A deep network that starts at random multiplies rounding errors: without this, and on 32x32 images, two
    # instruction sets of one processor are 10% apart after a step, and with it they agree to six digits after ten.
    zero_last_gammas(net)
    if args.weights.exists():
        missing, unknown = mindspore.load_param_into_net(
            net, mindspore.load_checkpoint(str(args.weights))
        )
        assert not missing and not unknown
    else:
        mindspore.save_checkpoint(net, str(args.weights))
    step = nn.TrainOneStepCell(
        nn.WithLossCell(net, nn.CrossEntropyLoss()), nn.Momentum(net.trainable_params(), 0.001, 0.9)
    )
    step.set_train()
    digits = load_digits()
    images = (
        np.kron(digits.images / 8 - 1, np.ones((8, 8)))[:, None]
        .repeat(3, axis=1)
        .astype(np.float32)
    )
    losses = []
    for i in range(10):
        part = slice(16 * i, 16 * (i + 1))
        losses.append(
            float(
                step(
                    mindspore.Tensor(images[part]),
                    mindspore.Tensor(digits.target[part].astype(np.int32)),
                ).asnumpy()
            )
        )
    print(json.dumps(losses))


if __name__ == "__main__":
    main()
