"""The parameter names of Inception v3 in torchvision and MindCV."""

from __future__ import annotations

import re

from mindres.models.layers import CONV_NORM
from mindres.weights.naming import Naming

# The convolutions of each module by our name, torchvision's and MindCV's. The keys are patterns of
# the names of modules.
BRANCHES = {
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


def _naming(publisher, module, rest, **options) -> Naming:
    """The naming of the publisher in column `publisher` of `BRANCHES`.

    Args:
        publisher: 1 for torchvision, 2 for MindCV.
        module: the beginning of its names of modules.
        rest: rules for parameters outside of modules.
        options: options of `Naming`.
    """
    branches = [
        (
            rf"^backbone\.mixed({pattern})\.{re.escape(names[0])}\.features\.",
            rf"{module}\1.{names[publisher]}.features.",
        )
        for pattern, rows in BRANCHES.items()
        for names in rows
    ]
    rules = [*branches, *rest, (r"^backbone\.", ""), *CONV_NORM]
    return Naming(rules, **options)


TORCHVISION_RULES = [
    (r"^backbone\.conv(1a|2a|2b|4a)\.", r"Conv2d_\1_3x3."),
    (r"^backbone\.conv3b\.", "Conv2d_3b_1x1."),
    (r"^aux\.0\.dense\.", "AuxLogits.fc."),
    (r"^aux\.0\.", "AuxLogits."),
    (r"^head\.dense\.", "fc."),
]
MINDCV_RULES = [
    (r"^aux\.0\.dense\.", "aux.fc."),
    (r"^aux\.0\.", "aux."),
    (r"^head\.dense\.", "classifier."),
]

TORCHVISION = _naming(1, "Mixed_", TORCHVISION_RULES, torch=True, pad_mode="pad")
MINDCV = _naming(2, "inception", MINDCV_RULES)
