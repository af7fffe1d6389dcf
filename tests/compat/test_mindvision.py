"""MindVision 0.1.0 on today's MindSpore: which change upstream each line of mindvision.py answers."""

import ast
import hashlib
import importlib
import re
import sys
from importlib.machinery import PathFinder
from pathlib import Path

import mindspore
import numpy as np
import pytest
from conftest import ROOT, SHARED, cifar10_batches, packed, write_cifar10_python
from mindspore import nn

from mindres.compat import mindvision

MINDVISION = Path(importlib.import_module("mindvision").__file__).parent
TUTORIAL = SHARED / "reference" / "resnet50_mindspore_tutorial.txt"

# By removed module: what MindSpore changed, and names that programs of MindVision's time imported.
REMOVED = {
    "mindspore.dataset.vision.c_transforms": (
        "2.0 removed it: the C++ image operators are in mindspore.dataset.vision",
        [
            "RandomCrop",
            "RandomHorizontalFlip",
            "Resize",
            "Rescale",
            "Normalize",
            "HWC2CHW",
            "Decode",
        ],
    ),
    "mindspore.dataset.vision.py_transforms": (
        "2.0 removed it: the Python image operators are in mindspore.dataset.vision",
        ["ToPIL", "ToTensor", "RandomErasing"],
    ),
    "mindspore.dataset.transforms.c_transforms": (
        "2.0 removed it: the C++ operators are in mindspore.dataset.transforms",
        ["TypeCast", "OneHot", "Compose"],
    ),
    "mindspore.dataset.transforms.py_transforms": (
        "2.0 removed it: the Python operators are in mindspore.dataset.transforms",
        ["Compose", "OneHot", "RandomApply"],
    ),
}
# 2.0 gave nn.Dropout the argument p and lets keep_prob warn. Who in MindVision still passes keep_prob:
KEEP_PROB = {
    "mindvision.classification.models.backbones.vit": "position embedding of ViT",
    "mindvision.classification.models.blocks.attention": "attention of ViT",
    "mindvision.classification.models.blocks.feed_forward": "MLP of ViT and MLP-Mixer",
    "mindvision.classification.models.head.dense_head": "classifier of every network, the tutorial's too",
}


def sources():
    for path in MINDVISION.rglob("*.py"):
        yield path, ast.parse(path.read_text(encoding="utf-8"))


def test_every_line_of_both_tables_is_explained_here():
    assert mindvision.ALIASES.keys() == REMOVED.keys()
    assert KEEP_PROB.keys() == mindvision.DROPOUT_USERS


@pytest.mark.parametrize("name", REMOVED)
def test_removed_module_is_back(name):
    why, taken = REMOVED[name]
    parent, _, _ = name.rpartition(".")
    assert PathFinder.find_spec(name, importlib.import_module(parent).__path__) is None, (
        f"no longer true: {why}"
    )
    module = importlib.import_module(name)
    for operator in taken:
        assert getattr(module, operator) is getattr(importlib.import_module(parent), operator), (
            operator
        )


def test_what_mindvision_takes_from_the_removed_modules_is_there():
    seen = 0
    for path, tree in sources():
        called = {
            alias.asname: alias.name
            for node in ast.walk(tree)
            if isinstance(node, ast.Import)
            for alias in node.names
            if alias.name in REMOVED
        }
        for node in ast.walk(tree):
            if (
                isinstance(node, ast.Attribute)
                and isinstance(node.value, ast.Name)
                and node.value.id in called
            ):
                seen += 1
                assert hasattr(importlib.import_module(called[node.value.id]), node.attr), (
                    f"{path.name}: {node.attr}"
                )
    assert seen > 20


@pytest.mark.parametrize("name", KEEP_PROB)
def test_keep_prob_means_what_it_did_and_is_silent(name, caplog):
    module = importlib.import_module(name)
    dropout = module.nn.Dropout(0.75)
    assert caplog.text == ""
    assert isinstance(dropout, nn.Dropout) and dropout.p == pytest.approx(0.25)
    kept = dropout.set_train()(mindspore.ops.ones((100, 100))).asnumpy()
    assert 0.70 < (kept > 0).mean() < 0.80 and kept.max() == pytest.approx(1 / 0.75)
    assert module.nn.Dense is nn.Dense, "the rest of nn is MindSpore's own"


def test_mindspore_still_warns_about_keep_prob_elsewhere(caplog):
    nn.Dropout(keep_prob=0.75)
    assert "keep_prob" in caplog.text, "MindSpore took keep_prob back: DROPOUT_USERS can go"


def test_no_other_file_of_mindvision_passes_keep_prob():
    users = set()
    for path, tree in sources():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "nn.Dropout":
                users.add(".".join(path.relative_to(MINDVISION.parent).with_suffix("").parts))
    # This one cannot be imported on any MindSpore: it asks for a file that the release left out.
    users.discard("mindvision.video.models.head.I3dHead")
    assert users == KEEP_PROB.keys()


def test_imports_and_the_classifier_print_nothing(run_python):
    done = run_python(
        "-c",
        """
import mindres
import importlib, pkgutil
import mindvision.classification, mindvision.dataset, mindvision.engine.callback
count = 0
for package in (mindvision.classification, mindvision.dataset, mindvision.engine.callback):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        importlib.import_module(module.name)
        count += 1
assert count > 40, count
from mindvision.classification.models.head import DenseHead
str(DenseHead(8, 2))
""",
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_hook_is_registered_once():
    before = list(sys.meta_path)
    mindvision.install()
    assert sys.meta_path == before
    assert (
        sum(type(finder).__module__ == "mindres.compat.mindvision" for finder in sys.meta_path) == 1
    )


@pytest.fixture
def served(http_server, tmp_path, resnet50_checkpoint):
    """Writes `served.py` to `tmp_path`: importing it points MindVision's tables at the local server.

    The server has a CIFAR-10 of random images, and weights for 1000 classes, under the tutorial's names.
    """

    def serve(train, test, more=""):
        folder = write_cifar10_python(
            tmp_path / "published" / "cifar-10-batches-py", cifar10_batches(train, test)
        )
        http_server.files["/kriz/cifar-10-python.tar.gz"] = archive = packed(folder)
        http_server.files["/vision/classification/resnet50_224.ckpt"] = (
            resnet50_checkpoint.read_bytes()
        )
        sums = {
            name: hashlib.md5((folder / name).read_bytes()).hexdigest()
            for name in [f"data_batch_{i}" for i in range(1, 6)] + ["test_batch", "batches.meta"]
        }
        extract = {
            "train": [(name, md5) for name, md5 in sums.items() if name.startswith("data")],
            "test": [("test_batch", sums["test_batch"])],
            "meta": [("batches.meta", sums["batches.meta"])],
        }
        (tmp_path / "served.py").write_text(f"""
import mindres
from mindvision.classification.dataset.cifar10 import ParseCifar10
from mindvision.classification.utils.model_urls import model_urls
ParseCifar10.url_path = {{"path": "{http_server.url}/kriz/cifar-10-python.tar.gz",
                         "md5": "{hashlib.md5(archive).hexdigest()}"}}
ParseCifar10.extract = {extract!r}
model_urls["resnet50"] = "{http_server.url}/vision/classification/resnet50_224.ckpt"
{more}""")

    return serve


# Lines that are expected on standard error: MindVision's progress bars, and MindSpore's warnings about
# two things that MindVision does.
EXPECTED = re.compile(
    r"\s*$|\s*\d+%\||\d+B \[|.*B/s\]"
    r"|\[WARNING\] .*'set_enable_shared_mem' is deprecated from version 2.8.0"
    r"|\[WARNING\] .*For ValAccMonitor callback, .* methods may not be supported in later version"
)


def unexpected(stderr):
    """The other lines of standard error."""
    return [line for line in re.split(r"[\r\n]", stderr) if not EXPECTED.match(line)]


def printed(stdout, epochs):
    """The losses and the accuracies that MindVision's ValAccMonitor printed, one of each per epoch."""
    found = re.findall(
        r"^Epoch: \[ *(\d+) / +\d+\], Train Loss: \[ *([\d.]+)\], Accuracy: +([\d.]+)$",
        stdout,
        re.M,
    )
    assert [int(epoch) for epoch, _, _ in found] == list(range(1, epochs + 1)), stdout[-2000:]
    return [float(loss) for _, loss, _ in found], [float(accuracy) for _, _, accuracy in found]


def test_the_tutorial_runs_to_its_last_line(
    served, run_python, tmp_path, http_server, resnet50_checkpoint
):
    served(train=12, test=6)
    done = run_python(
        "-c", f"import served, runpy; runpy.run_path({str(ROOT / 'tests' / 'tutorial.py')!r})"
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert unexpected(done.stderr) == []
    lines = done.stdout.splitlines()
    assert lines[0].startswith("steps 2 images (6, 3, 32, 32) labels [") and "mode True" in lines
    assert lines[-1] == "drawn 2 not loaded [] finite True"
    best = max(printed(done.stdout, 2)[1])
    assert f"the best Accuracy is:  {best:.3f}" in done.stdout
    published = mindspore.load_checkpoint(str(resnet50_checkpoint))
    name = "backbone.layer4.0.conv3.features.0.weight"
    np.testing.assert_array_equal(np.load(tmp_path / "loaded.npy"), published[name].asnumpy())
    trained = mindspore.load_checkpoint(str(tmp_path / "best.ckpt"))
    assert trained["head.dense.weight"].shape == (10, 2048)
    assert np.abs(trained[name].asnumpy() - published[name].asnumpy()).max() > 0
    assert [path for path, _ in http_server.requests] == [
        "/kriz/cifar-10-python.tar.gz",
        "/vision/classification/resnet50_224.ckpt",
    ]


# Where each of the tutorial's programs starts, and the line of prose or output that follows it.
BLOCKS = [
    ("from mindvision.classification.dataset import Cifar10", "The directory structure"),
    ("import numpy as np", "    Image shape: ("),
    ("from typing import", "Bottleneck"),
    ("class ResidualBlock(nn.Cell):", "Building a ResNet-50 Network"),
    ("def make_layer(", "ResNet-50 has five convolution structures"),
    ("from mindvision.classification.models.classifiers import", "Model Training and Evaluation"),
    ("from mindspore.train import Model", "----------"),
    ("import matplotlib.pyplot as plt", "png"),
]


def as_printed(text):
    """The tutorial's programs, one after the other, unchanged."""
    lines, at, program = text.splitlines(), 0, []
    for first, after in BLOCKS:
        start = next(i for i in range(at, len(lines)) if lines[i].startswith(first))
        at = next(i for i in range(start, len(lines)) if lines[i].startswith(after))
        program += lines[start:at]
    return "\n".join(program) + "\n"


# Trains for three of the forty epochs, which is enough to show that the program works.
SOONER = """
from mindspore.train import Model
train = Model.train
Model.train = lambda self, epoch, *arguments, **named: train(self, min(epoch, 3), *arguments, **named)
"""


@pytest.mark.skipif(not TUTORIAL.is_file(), reason="the tutorial's text is not here")
def test_the_tutorials_own_code_runs_as_printed(served, run_python, tmp_path, resnet50_checkpoint):
    served(train=7, test=6, more=SOONER)
    program = as_printed(TUTORIAL.read_text(encoding="utf-8"))
    assert program.count("\n") > 150 and "num_epochs = 40" in program
    assert program.rstrip().endswith("visualize_model('best.ckpt', ds_val)")
    (tmp_path / "tutorial.py").write_text("import served\n" + program)
    done = run_python("tutorial.py")
    assert done.returncode == 0, done.stderr[-3000:]
    assert unexpected(done.stderr) == []
    assert re.search(r"/ +40\], Train Loss", done.stdout)
    losses, accuracies = printed(done.stdout, 3)
    assert len(set(losses)) == 3 and f"the best Accuracy is:  {max(accuracies):.3f}" in done.stdout
    trained, published = (
        mindspore.load_checkpoint(str(path))
        for path in (tmp_path / "best.ckpt", resnet50_checkpoint)
    )
    assert trained["head.dense.weight"].shape == (10, 2048)
    name = "backbone.layer4.2.conv3.features.0.weight"
    trained, published = trained[name].asnumpy(), published[name].asnumpy()
    assert np.corrcoef(trained.ravel(), published.ravel())[0, 1] > 0.9, "not started afresh"
    assert np.abs(trained - published).max() > 0, "nor left alone"
