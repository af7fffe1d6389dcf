"""The flags of the training scripts, spelled as MindSpore's model zoo has them."""

from __future__ import annotations

from mindres.errors import ArgumentParser, non_negative_float, positive_float, positive_int
from mindres.runtime import DEVICES

DATASETS = ("digits", "cifar10", "cifar100", "mnist", "folder")


def training_parser(description: str, example: str) -> ArgumentParser:
    """A parser with the flags that every training script takes."""
    parser = ArgumentParser(description=description, epilog=f"example:\n  {example}")
    add = parser.add_argument
    add("--device_target", default="auto", choices=DEVICES, help="where to train (default: auto)")
    add("--dataset", default="digits", choices=DATASETS, help="default: digits, which needs no download")
    add("--dataset_path", default="./datasets", help="folder of the dataset or its parent (default: ./datasets)")
    add("--download", action="store_true", help="fetch the dataset if it is not there")
    add("--arch", default="resnet50", help="network (default: resnet50)")
    add("--pretrained", help="true, false, mindvision, mindcv, a path or a URL; by default published weights where "
                             "they can be had, else none")
    add("--freeze", default="none", choices=("none", "backbone"), help="what stays as it is (default: none)")
    add("--epochs", type=positive_int, default=40, help="passes over the training images (default: 40)")
    add("--batch_size", type=positive_int, default=32, help="images in a step (default: 32)")
    add("--lr", type=positive_float, default=0.001, help="first learning rate (default: 0.001)")
    add("--min_lr", type=non_negative_float, default=0.00001, help="last learning rate (default: 0.00001)")
    add("--momentum", type=non_negative_float, default=0.9, help="of the optimizer (default: 0.9)")
    add("--weight_decay", type=non_negative_float, default=0.0, help="L2 penalty (default: 0)")
    add("--resize", type=positive_int, default=32, help="side of the images in pixels (default: 32)")
    add("--amp_level", default="auto", choices=("auto", "O0", "O1", "O2", "O3"),
        help="mixed precision (default: auto: O0 on CPU, O2 elsewhere)")
    add("--mode", default="graph", choices=("graph", "pynative"), help="pynative is for debugging (default: graph)")
    add("--ckpt_dir", default="ckpt", help="folder of the checkpoints (default: ckpt)")
    add("--overwrite", action="store_true", help="replace a better best.ckpt of an earlier run")
    add("--seed", type=int, default=0, help="of weights and data order (default: 0)")
    add("--max_steps", type=positive_int, help="stop after so many steps")
    return parser
