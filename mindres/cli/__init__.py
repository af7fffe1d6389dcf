"""The command line: one file per command.

A new command is a row of `COMMANDS` and a file of the same name in this folder with two functions:
`add_flags(parser)` adds its flags, and `run(args)` does the work and returns the exit status (None
is 0). Help and usage errors do not load MindSpore, so the file imports whatever needs MindSpore
inside its functions.
"""

from typing import NamedTuple


class Command(NamedTuple):
    """A row: what the command does, for `mindres --help`, and an example command line."""

    does: str
    example: str


COMMANDS = {
    "models": Command(
        "list the networks, their sizes and their published weights",
        "mindres models 'resnet*'",
    ),
    "summary": Command(
        "show a network's stages or layers, parameters and multiply-adds",
        "mindres summary resnet50 --input 3,224,224",
    ),
    "train": Command(
        "train a network on your images or on a built-in data set",
        "mindres train my_photos --time 20m",
    ),
    "eval": Command(
        "measure accuracy, scores per class and the confusion matrix",
        "mindres eval --ckpt ckpt/best.ckpt --plots pictures",
    ),
    "predict": Command(
        "classify images",
        "mindres predict photo.jpg --ckpt ckpt/best.ckpt",
    ),
    "plot": Command(
        "draw images, predictions, learning curves, filters or Grad-CAM",
        "mindres plot gradcam --ckpt ckpt/best.ckpt --out gradcam.svg",
    ),
    "report": Command(
        "write an HTML report of a training run",
        "mindres report ckpt",
    ),
    "compare": Command(
        "compare two training runs and test whether they differ",
        "mindres compare ckpt other_run",
    ),
    "check": Command(
        "find wrong labels, copies between splits and broken images",
        "mindres check my_photos --out check",
    ),
    "convert": Command(
        "convert weights between MindSpore and PyTorch formats",
        "mindres convert resnet20.th resnet20.ckpt --arch resnet20 --shortcut A",
    ),
    "export": Command(
        "export a network to ONNX or MindIR and verify the file",
        "mindres export --ckpt ckpt/best.ckpt --out resnet50.onnx",
    ),
    "serve": Command(
        "serve an exported network over HTTP, with a web page",
        "mindres serve pets.onnx",
    ),
    "doctor": Command(
        "show what this machine can train on and what is missing",
        "mindres doctor --device_target GPU",
    ),
}
