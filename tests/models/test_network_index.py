"""A network is a row in its family's file and a name in the index: all else follows from them."""

import json
import shutil
from pathlib import Path

import pytest
from conftest import ROOT

import mindres
from mindres.models import FAMILIES, homes
from mindres.models.registry import families, networks

ROW = """
    "resnet26": variant(
        ResidualBlock, (2, 2, 2, 2), 1, 64, 15_995_176, 2_342_256_640,
        timm=("resnet26.bt_in1k", 0.76366, TIMM),
    ),
"""
# What a copy of the package says of the network when these two places are filled in.
QUESTIONS = """
import contextlib, io, json, sys
import mindres, mindres.resnet26
from mindres.cli.program import run_command
from mindres.errors import UserError
from mindres.models.recognition import identify
from mindres.models.save import save_torch
from mindres.models.summary import summarize
from mindres.weights.formats import read_checkpoint

answers = {"list": mindres.list_models("*26"), "public": "resnet26" in mindres.__all__}
try:
    mindres.create_model("resnt26")
except UserError as error:
    answers["suggestion"] = str(error)
net = mindres.resnet26(num_classes=7)
found = summarize(mindres.create_model("resnet26"), (3, 224, 224))
answers["sizes"] = [found.parameters, found.multiply_adds]
answers["doc"] = mindres.resnet26.__doc__
answers["module"] = mindres.resnet26.__name__ == "resnet26"
answers["looks like"] = identify(net.parameters_dict())
save_torch(net, "torch.safetensors")
again, _ = mindres.load_model("torch.safetensors")
arrays, _ = read_checkpoint("torch.safetensors")
answers["torch"] = ["layer1.0.downsample.0.weight" in arrays, identify(arrays)["arch"]]
answers["loaded"] = again.architecture
answers["commands"] = []
for arguments in (["models", "resnet26", "--json"], ["summary", "torch.safetensors", "--json"]):
    with contextlib.redirect_stdout(io.StringIO()) as out:
        assert not run_command(arguments)
    answers["commands"].append(json.loads(out.getvalue()))
print(json.dumps(answers))
"""


@pytest.fixture
def copy(tmp_path):
    """A copy of the package with one row and one name more."""
    folder = tmp_path / "mindres"
    shutil.copytree(
        Path(mindres.__file__).parent, folder, ignore=shutil.ignore_patterns("__pycache__")
    )
    for path, before, added in (
        (folder / "models" / "resnet.py", "NETWORKS = {\n", ROW.lstrip("\n")),
        (folder / "models" / "__init__.py", '    "resnet": [\n', '        "resnet26",\n'),
    ):
        text = path.read_text(encoding="utf-8")
        assert text.count(before) == 1
        path.write_text(text.replace(before, before + added), encoding="utf-8")
    return tmp_path


def test_a_row_and_a_name_are_all_that_a_network_takes(copy, run_python):
    done = run_python("-c", QUESTIONS, PYTHONPATH=str(copy))
    assert done.returncode == 0, done.stderr[-2000:]
    answers = json.loads(done.stdout.splitlines()[-1])
    assert answers["list"] == ["resnet26"] and answers["public"] and answers["module"]
    assert "did you mean resnet26" in answers["suggestion"]
    assert answers["sizes"] == [15_995_176, 2_342_256_640]
    assert answers["doc"].startswith("resnet26: 15,995,176 parameters at 1000 classes, 2,342,")
    looks = {"arch": "resnet26", "in_channels": 3, "num_classes": 7}
    assert answers["looks like"] == looks and answers["loaded"] == {**looks, "pad_mode": "same"}
    assert answers["torch"] == [True, "resnet26"]
    [[row], summary] = answers["commands"]
    assert row["name"] == "resnet26" and row["parameters"] == 15_995_176
    assert row["weights"]["timm"]["top1"] == 0.76366
    assert row["weights"]["timm"]["url"].endswith(
        "/resnet26.bt_in1k/resolve/main/model.safetensors"
    )
    assert summary["arch"] == "resnet26"


def test_the_readme_knows_how_many_there_are():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"{len(mindres.list_models())} networks: " in text, "name the new one there"


def test_index_and_families_name_the_same_networks():
    assert [list(family.networks) for family in families()] == list(FAMILIES.values())
    assert list(networks()) == list(homes()) == mindres.list_models()
