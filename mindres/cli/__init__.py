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
        "show a network's layers with parameters and multiply-adds",
        "mindres summary resnet50 --input 3,224,224",
    ),
    "train": Command(
        "train a network on your images or on a built-in data set",
        "mindres train my_photos --time 20m",
    ),
    "eval": Command(
        "measure accuracy, the scores of each class, the confusion matrix",
        "mindres eval --ckpt ckpt/best.ckpt --plots pictures",
    ),
    "predict": Command(
        "classify images",
        "mindres predict photo.jpg --ckpt ckpt/best.ckpt",
    ),
    "plot": Command(
        "draw data, predictions, learning curves, filters, Grad-CAM",
        "mindres plot gradcam --ckpt ckpt/best.ckpt --out gradcam.svg",
    ),
    "report": Command(
        "write an HTML report of a training: curves, classes, mistakes",
        "mindres report ckpt",
    ),
    "compare": Command(
        "say which of two trainings is better, and whether that is sure",
        "mindres compare ckpt other_run",
    ),
    "check": Command(
        "find wrong labels, copies between splits and broken images",
        "mindres check my_photos --out check",
    ),
    "convert": Command(
        "convert weights from and to PyTorch, MindCV and MindVision",
        "mindres convert resnet20.th resnet20.ckpt --arch resnet20 --shortcut A",
    ),
    "export": Command(
        "export a network to ONNX or MindIR and check the file",
        "mindres export --ckpt ckpt/best.ckpt --out resnet50.onnx",
    ),
    "serve": Command(
        "put a web page before an exported network",
        "mindres serve pets.onnx",
    ),
    "doctor": Command(
        "report what this machine can train on and what is missing",
        "mindres doctor --device_target GPU",
    ),
}
