"""The command line: a file for each command.

A new command is a row of `COMMANDS` and a file of the same name in this folder with two functions:
`add_flags(parser)` adds its flags, and `run(args)` does the work and returns the exit status (None
is 0). Help and mistakes are answered without MindSpore, so a command's file imports what needs
MindSpore inside its functions.
"""

from typing import NamedTuple


class Command(NamedTuple):
    """A row: what the command does, as `mindres --help` shows it, and a command line that works."""

    does: str
    example: str


COMMANDS = {
    "models": Command(
        "list the networks, their size and their published weights",
        "mindres models 'resnet*'",
    ),
    "summary": Command(
        "show the layers of a network with parameters, multiply-adds and receptive fields",
        "mindres summary resnet50 --input 3,224,224",
    ),
    "train": Command(
        "train a network on a built-in data set or on a folder of images",
        "mindres train my_photos --time 20m",
    ),
    "eval": Command(
        "measure accuracy, loss, the scores of each class and the confusion matrix",
        "mindres eval --ckpt ckpt/best.ckpt --plots pictures",
    ),
    "predict": Command(
        "classify images",
        "mindres predict photo.jpg --ckpt ckpt/best.ckpt",
    ),
    "plot": Command(
        "draw data, predictions, learning curves, filters or Grad-CAM",
        "mindres plot gradcam --ckpt ckpt/best.ckpt --out gradcam.svg",
    ),
    "report": Command(
        "write an HTML report of a training run: curves, mistakes and what caused them",
        "mindres report ckpt",
    ),
    "convert": Command(
        "convert weights of PyTorch, MindCV or MindVision to mindres's or torchvision's format",
        "mindres convert resnet20.th resnet20.ckpt --arch resnet20 --shortcut A",
    ),
    "export": Command(
        "export a network to ONNX or MindIR and check the file",
        "mindres export --ckpt ckpt/best.ckpt --out resnet50.onnx",
    ),
    "doctor": Command(
        "report what this machine can train on and what is missing",
        "mindres doctor --device_target GPU",
    ),
}
