"""Every network by its name, and the two things done to any of them: build it, give it another classifier."""

from __future__ import annotations

import difflib
import fnmatch
import inspect
from dataclasses import dataclass

from mindspore import nn

from mindres import cifar_resnet, classic, inception, resnet
from mindres.cifar_resnet import resnet20, resnet32, resnet44, resnet56, resnet110
from mindres.classic import alexnet, check_size, convnet, lenet5, vgg16
from mindres.errors import UserError
from mindres.formats import read_checkpoint
from mindres.inception import googlenet, inception_v3
from mindres.names import identify, without_prefixes
from mindres.resnet import resnet18, resnet34, resnet50, resnet101, resnet152
from mindres.weights import OPTIMIZER_STATE, find, put_weights

MODELS = {function.__name__: function for function in (
    resnet18, resnet34, resnet50, resnet101, resnet152,
    resnet20, resnet32, resnet44, resnet56, resnet110,
    lenet5, convnet, alexnet, vgg16, googlenet, inception_v3)}


@dataclass(frozen=True)
class Facts:
    """A network as its function builds it by default: image (channels, height, width), weights, multiply-adds."""

    input_shape: tuple[int, int, int]
    parameters: int
    multiply_adds: int


# Noted, because to build and run all of them takes half a minute; a test compares each with `summarize`.
FACTS = {
    "resnet18": Facts((3, 224, 224), 11_689_512, 1_814_073_344),
    "resnet34": Facts((3, 224, 224), 21_797_672, 3_663_761_408),
    "resnet50": Facts((3, 224, 224), 25_557_032, 4_089_184_256),
    "resnet101": Facts((3, 224, 224), 44_549_160, 7_801_405_440),
    "resnet152": Facts((3, 224, 224), 60_192_808, 11_513_626_624),
    "resnet20": Facts((3, 32, 32), 272_474, 40_813_184),
    "resnet32": Facts((3, 32, 32), 466_906, 69_124_736),
    "resnet44": Facts((3, 32, 32), 661_338, 97_436_288),
    "resnet56": Facts((3, 32, 32), 855_770, 125_747_840),
    "resnet110": Facts((3, 32, 32), 1_730_714, 253_149_824),
    "lenet5": Facts((1, 32, 32), 61_706, 416_520),
    "convnet": Facts((1, 28, 28), 9_098, 290_080),
    "alexnet": Facts((3, 224, 224), 61_100_840, 714_188_480),
    "vgg16": Facts((3, 224, 224), 138_357_544, 15_470_264_320),
    "googlenet": Facts((3, 224, 224), 13_004_888, 1_498_376_192),
    "inception_v3": Facts((3, 299, 299), 27_161_264, 5_713_216_096),
}


# Published weights by network and publisher; those of the CIFAR ResNets depend on the shortcut.
SOURCES = {**resnet.WEIGHTS, **classic.WEIGHTS, **inception.WEIGHTS}
for _shortcut in ("B", "A"):
    for _depth, _sources in cifar_resnet.WEIGHTS[_shortcut].items():
        SOURCES.setdefault(f"resnet{_depth}", {}).update(_sources)


def list_models(pattern="*"):
    """The names of the networks that match a shell-style `pattern`, in the order of the table."""
    return [name for name in MODELS if fnmatch.fnmatchcase(name, pattern)]


def create_model(name, **options):
    """Build the network called `name` with its function's options, such as `num_classes` and `pretrained`.

    Raises:
        UserError: there is no such network (the nearest names are suggested) or no such option.
    """
    function = MODELS[known(name)]
    accepted = inspect.signature(function).parameters
    for option in options:
        if option not in accepted:
            raise UserError(f"{name} has no option {option!r}: its options are {', '.join(accepted)}")
    return function(**options)


def known(name):
    """`name`, if there is a network called so; otherwise a `UserError` that suggests the nearest names."""
    if name in MODELS:
        return name
    near = difflib.get_close_matches(str(name).lower(), MODELS, n=3)
    advice = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(MODELS)}"
    raise UserError(f"unknown network {name!r}: {advice}")


def reset_head(net, num_classes):
    """Replace each classifier of `net` by a fresh one of `num_classes` outputs, which is what fine-tuning does.

    Auxiliary classifiers are classifiers too. Returns the network, whose other weights are untouched.
    """
    parts = {"head": net.head, **{f"aux.{i}": part for i, part in enumerate(getattr(net, "aux", []))}}
    for name, part in parts.items():
        part.dense = nn.Dense(part.dense.in_channels, num_classes)
        part.update_parameters_name(f"{name}.")
    net.architecture = {**net.architecture, "num_classes": num_classes}
    # MindSpore would go on with the graph that it has compiled of the old layers.
    net.compile_cache.clear()
    return net


def check_images(net, size) -> None:
    """Raise `UserError` where `net` takes no images of this `size` (height, width).

    The network says so itself while it is compiled, but among pages of MindSpore's.
    """
    check_size((0, 0, *size), *getattr(net.backbone, "sides", (1,)))


def load_model(path, **options):
    """The network that a weight file holds, with its weights, and what was noted with it.

    A checkpoint of mindres says which network it holds. Of another file, whose names and shapes show it, the
    `options` of `create_model`, with the name as `arch`, settle what these leave open.

    Returns the network and the metadata: `classes`, `mean`, `std`, `input_size` (height, width), `dataset`, `epoch`,
    `metric_name`, `metric`, as far as they were known.

    Raises:
        UserError: the file is missing or damaged, does not say or show which network it holds, or holds another one.
    """
    net, metadata, _ = open_weights(path, **options)
    return net, metadata


def open_weights(source, **options):
    """As `load_model`, for a path or an http(s) address, with the report of `load_weights` as a third value."""
    path, shown = find(source)
    arrays, metadata = read_checkpoint(path)
    arrays = without_prefixes(arrays)
    noted = metadata.get("architecture")
    shows = identify({name: value for name, value in arrays.items() if not OPTIMIZER_STATE.match(name)})
    for option in ("arch", "num_classes", "in_channels") if noted else ():
        # Before anything is built: a small file could ask for a network larger than the memory.
        if noted.get(option, shows.get(option)) != shows.get(option):
            raise UserError(f"{shown} is damaged: it notes {option} {noted[option]} and holds {shows.get(option)}; "
                            "fetch or write it again")
    shows = noted or shows
    if options.get("arch", shows.get("arch")) == shows.get("arch"):
        options = {**shows, **options}
    if "arch" not in options:
        raise UserError(f"{shown} does not say which network it holds, and its parameters do not show it: name it "
                        "with --arch")
    net = create_model(options.pop("arch"), **options)
    return net, metadata, put_weights(net, arrays, metadata, shown)
