"""Parameter names: ours, MindVision's, MindCV's, torchvision's, timm's, and of the common CIFAR ResNet repositories.

A naming is a list of substitutions that turn our names into another publisher's, applied one after the
other. To read a file, the naming that recognises most of its names is taken and turned around.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

FAMILIES = {
    "resnet": ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152"),
    "cifar_resnet": ("resnet20", "resnet32", "resnet44", "resnet56", "resnet110"),
    **{
        name: (name,)
        for name in ("lenet5", "convnet", "alexnet", "vgg16", "googlenet", "inception_v3")
    },
}
FAMILY = {arch: family for family, archs in FAMILIES.items() for arch in archs}

# The blocks of each stage, and whether they are bottlenecks.
RESNETS = {
    ((2, 2, 2, 2), False): "resnet18",
    ((3, 4, 6, 3), False): "resnet34",
    ((3, 4, 6, 3), True): "resnet50",
    ((3, 4, 23, 3), True): "resnet101",
    ((3, 8, 36, 3), True): "resnet152",
}

# Number of convolutions, and the channels and kernel size of the first.
PLAIN = {(2, 6, 5): "lenet5", (2, 8, 3): "convnet", (5, 64, 11): "alexnet", (13, 64, 3): "vgg16"}

CLASSIFIER_WEIGHT = re.compile(
    r"(head\.dense|head\.fc|(backbone\.)?fc3|fc|linear|linear_1|classifier(\.6)?)\.weight$"
)
CLASSIFIER = re.compile(r"^(head|aux\.\d)\.dense\.")
BATCH_NORM = {
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}
PREFIXES = ("module.", "_orig_mod.", "model.", "net.")


@dataclass(frozen=True)
class Naming:
    """How a publisher names the parameters of a family, and what else its weights imply.

    `torch` is whether batch normalisation has PyTorch's names; `pad_mode` is how the networks pool.
    """

    rules: list[tuple[str, str]]
    torch: bool = False
    pad_mode: str = "same"

    def name(self, ours: str) -> str:
        """This publisher's name for the parameter that we call `ours`."""
        for pattern, replacement in self.rules:
            ours = re.sub(pattern, replacement, ours)
        stem, _, last = ours.rpartition(".")
        return f"{stem}.{BATCH_NORM.get(last, last)}" if self.torch else ours


def _resnet(down_sample, classifier):
    """A convolution and its normalisation beside each other, not in a block."""
    return [
        (r"^backbone\.conv1\.features\.0\.", "conv1."),
        (r"^backbone\.conv1\.features\.1\.", "bn1."),
        (r"^backbone\.(layer\d\.\d+)\.conv(\d)\.features\.0\.", r"\1.conv\2."),
        (r"^backbone\.(layer\d\.\d+)\.conv(\d)\.features\.1\.", r"\1.bn\2."),
        (r"^backbone\.(layer\d\.\d+)\.down_sample\.features\.", rf"\1.{down_sample}."),
        (r"^head\.dense\.", f"{classifier}."),
    ]


def _fully_connected(fc6, fc7, fc8):
    return [
        (r"^backbone\.", ""),
        (r"^neck\.fc6\.", f"{fc6}."),
        (r"^neck\.fc7\.", f"{fc7}."),
        (r"^head\.dense\.", f"{fc8}."),
    ]


BLOCK = [(r"\.features\.0\.", ".conv."), (r"\.features\.1\.", ".bn.")]

GOOGLENET = [
    (r"^backbone\.(inception\w+)\.0\.features\.", r"\1.branch1.features."),
    (r"^backbone\.(inception\w+)\.1\.(\d)\.features\.", r"\1.branch2.\2.features."),
    (r"^backbone\.(inception\w+)\.2\.(\d)\.features\.", r"\1.branch3.\2.features."),
    (r"^backbone\.(inception\w+)\.3\.1\.features\.", r"\1.branch4.1.features."),
    (r"^backbone\.", ""),
    (r"^aux\.0\.", "aux1."),
    (r"^aux\.1\.", "aux2."),
    (r"^(aux\d)\.fc\.", r"\1.fc1."),
    (r"^(aux\d)\.dense\.", r"\1.fc2."),
    (r"^head\.dense\.", "fc."),
    *BLOCK,
]

# Our branch of a stage, torchvision's, and MindCV's.
INCEPTION_V3 = {
    "5[bcd]": [
        ("0", "branch1x1", "branch0"),
        ("1.0", "branch5x5_1", "branch1.0"),
        ("1.1", "branch5x5_2", "branch1.1"),
        ("2.0", "branch3x3dbl_1", "branch2.0"),
        ("2.1", "branch3x3dbl_2", "branch2.1"),
        ("2.2", "branch3x3dbl_3", "branch2.2"),
        ("3.1", "branch_pool", "branch_pool.1"),
    ],
    "6a": [
        ("0", "branch3x3", "branch0"),
        ("1.0", "branch3x3dbl_1", "branch1.0"),
        ("1.1", "branch3x3dbl_2", "branch1.1"),
        ("1.2", "branch3x3dbl_3", "branch1.2"),
    ],
    "6[bcde]": [
        ("0", "branch1x1", "branch0"),
        ("1.0", "branch7x7_1", "branch1.0"),
        ("1.1", "branch7x7_2", "branch1.1"),
        ("1.2", "branch7x7_3", "branch1.2"),
        ("2.0", "branch7x7dbl_1", "branch2.0"),
        ("2.1", "branch7x7dbl_2", "branch2.1"),
        ("2.2", "branch7x7dbl_3", "branch2.2"),
        ("2.3", "branch7x7dbl_4", "branch2.3"),
        ("2.4", "branch7x7dbl_5", "branch2.4"),
        ("3.1", "branch_pool", "branch_pool.1"),
    ],
    "7a": [
        ("0.0", "branch3x3_1", "branch0.0"),
        ("0.1", "branch3x3_2", "branch0.1"),
        ("1.0", "branch7x7x3_1", "branch1.0"),
        ("1.1", "branch7x7x3_2", "branch1.1"),
        ("1.2", "branch7x7x3_3", "branch1.2"),
        ("1.3", "branch7x7x3_4", "branch1.3"),
    ],
    "7[bc]": [
        ("0", "branch1x1", "branch0"),
        ("1.0", "branch3x3_1", "branch1"),
        ("1.1.0", "branch3x3_2a", "branch1a"),
        ("1.1.1", "branch3x3_2b", "branch1b"),
        ("2.0", "branch3x3dbl_1", "branch2.0"),
        ("2.1", "branch3x3dbl_2", "branch2.1"),
        ("2.2.0", "branch3x3dbl_3a", "branch2a"),
        ("2.2.1", "branch3x3dbl_3b", "branch2b"),
        ("3.1", "branch_pool", "branch_pool.1"),
    ],
}


def _inception_v3(publisher, stage, rest):
    branches = [
        (
            rf"^backbone\.mixed({pattern})\.{re.escape(names[0])}\.features\.",
            rf"{stage}\1.{names[publisher]}.features.",
        )
        for pattern, rows in INCEPTION_V3.items()
        for names in rows
    ]
    return [*branches, *rest, (r"^backbone\.", ""), *BLOCK]


INCEPTION_V3_TORCHVISION = [
    (r"^backbone\.conv(1a|2a|2b|4a)\.", r"Conv2d_\1_3x3."),
    (r"^backbone\.conv3b\.", "Conv2d_3b_1x1."),
    (r"^aux\.0\.dense\.", "AuxLogits.fc."),
    (r"^aux\.0\.", "AuxLogits."),
    (r"^head\.dense\.", "fc."),
]
INCEPTION_V3_MINDCV = [
    (r"^aux\.0\.dense\.", "aux.fc."),
    (r"^aux\.0\.", "aux."),
    (r"^head\.dense\.", "classifier."),
]

OURS = Naming([])
TORCHVISION_RESNET = Naming(
    _resnet("downsample", "fc"), torch=True, pad_mode="pad"
)  # timm and chenyaofo as well
NAMINGS = {
    "resnet": {
        "mindres": OURS,
        "torchvision": TORCHVISION_RESNET,
        "mindcv": Naming(_resnet("down_sample", "classifier")),
    },
    "cifar_resnet": {
        "mindres": OURS,
        "torchvision": TORCHVISION_RESNET,
        "akamaster": Naming(_resnet("shortcut", "linear"), torch=True),
    },
    "lenet5": {
        "mindres": OURS,
        "torch": Naming([(r"^(backbone|neck)\.", ""), (r"^head\.dense\.", "fc3.")], torch=True),
        "mindvision": Naming([(r"^neck\.", "backbone."), (r"^head\.dense\.", "backbone.fc3.")]),
    },
    "convnet": {
        "mindres": OURS,
        "torch": Naming(
            [(r"^backbone\.conv", "conv_"), (r"^head\.dense\.", "linear_1.")], torch=True
        ),
    },
    "alexnet": {
        "mindres": OURS,
        "torchvision": Naming(
            _fully_connected("classifier.1", "classifier.4", "classifier.6"), torch=True
        ),
    },
    "vgg16": {
        "mindres": OURS,  # MindCV's names are torchvision's
        "torchvision": Naming(
            _fully_connected("classifier.0", "classifier.3", "classifier.6"), torch=True
        ),
        "timm": Naming(_fully_connected("pre_logits.fc1", "pre_logits.fc2", "head.fc"), torch=True),
    },
    "googlenet": {"mindres": OURS, "torchvision": Naming(GOOGLENET, torch=True)},
    "inception_v3": {
        "mindres": Naming([], pad_mode="pad"),
        "torchvision": Naming(
            _inception_v3(1, "Mixed_", INCEPTION_V3_TORCHVISION), torch=True, pad_mode="pad"
        ),
        "mindcv": Naming(_inception_v3(2, "inception", INCEPTION_V3_MINDCV)),
    },
}


def without_prefixes(arrays: dict) -> dict:
    """`arrays` without what DataParallel, `torch.compile` and trainers put before every name."""
    while prefix := next(
        (prefix for prefix in PREFIXES if arrays and all(n.startswith(prefix) for n in arrays)),
        None,
    ):
        arrays = {name[len(prefix) :]: value for name, value in arrays.items()}
    return arrays


def translate(arrays: dict, ours, arch: str) -> tuple[dict, Naming]:
    """`arrays` under our names, of which `ours` are the network's, and the naming that they had.

    A name that no naming knows stays as it is.
    """
    # A convolution of the file may have a bias that ours has not.
    ours = {*ours, *(f"{name[:-6]}bias" for name in ours if name.endswith("weight"))}
    tables = [
        (naming, {naming.name(name): name for name in ours})
        for naming in NAMINGS[FAMILY[arch]].values()
    ]
    naming, table = max(tables, key=lambda pair: sum(name in pair[1] for name in arrays))
    return {table.get(name, name): value for name, value in arrays.items()}, naming


def torch_naming(architecture: dict) -> Naming:
    """The naming for PyTorch of the network that `architecture` describes."""
    namings = NAMINGS[FAMILY[architecture["arch"]]]
    if architecture.get("shortcut") == "A":
        return namings["akamaster"]
    return next(naming for naming in namings.values() if naming.torch)


def identify(arrays: dict) -> dict:
    """Which network of ours `arrays` look like, as options of `create_model`; empty where that cannot be told."""
    shapes = {name: tuple(value.shape) for name, value in arrays.items()}
    convolutions = [shape for shape in shapes.values() if len(shape) == 4]
    if not convolutions:
        return {}
    first = min(convolutions, key=lambda shape: shape[1])
    blocks = {}
    for name in shapes:
        if found := re.search(r"(?:^|\.)layer(\d)\.(\d+)\.", name):
            blocks.setdefault(found[1], set()).add(found[2])
    depths = tuple(len(blocks[stage]) for stage in sorted(blocks))

    def has(pattern):
        return any(re.search(pattern, name) for name in shapes)

    options = {}
    if len(depths) == 4:
        options["arch"] = RESNETS.get((depths, has(r"layer1\.0\.conv3\.")))
    elif len(depths) == 3:
        options["arch"] = f"resnet{6 * depths[0] + 2}"
        options["shortcut"] = "B" if has("downsample|down_sample|shortcut") else "A"
    elif has("inception3a"):
        options["arch"] = "googlenet"
    elif has("[Mm]ixed_?5b|inception5b"):
        options["arch"] = "inception_v3"
    else:
        options["arch"] = PLAIN.get((len(convolutions), first[0], first[2]))
    if options["arch"] not in FAMILY:
        return {}
    if options["arch"] in ("googlenet", "inception_v3"):
        options["aux_logits"] = has("^[Aa]ux")
    classes = [
        shape[0]
        for name, shape in shapes.items()
        if len(shape) == 2 and CLASSIFIER_WEIGHT.match(name)
    ]
    return {**options, "in_channels": first[1], **({"num_classes": classes[0]} if classes else {})}


def is_mindcv_googlenet(arrays: dict) -> bool:
    """Whether `arrays` are MindCV's GoogLeNet, which has no batch normalisation."""
    return any(re.match(r"inception3a\.b\d\.", name) for name in arrays)
