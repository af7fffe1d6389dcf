"""What a checkpoint records: as 0.1.0 wrote it, written and read again, read-only, and refused where it cannot be."""

import json
from dataclasses import replace

import pytest

import mindres
from mindres import UserError
from mindres.weights.metadata import ENTRIES, Metadata

# As 0.1.0 wrote it, what is recorded since, and something that only its user knows.
OLD = {
    "architecture": {"arch": "resnet20", "num_classes": 2, "shortcut": "A", "in_channels": 3},
    "dataset": "imagefolder",
    "split_rule": "path",
    "held_out": {"val": 0.15, "test": 0.15},
    "skip_broken": True,
    "classes": ["ant", "bee"],
    "mean": [0.5, 0.4, 0.3],
    "std": [0.2, 0.2, 0.2],
    "input_size": [32, 48],
    "crop_fraction": 0.875,
    "fit": "crop",
    "tta": False,
    "run": "0f3a",
    "epoch": 3,
    "metric_name": "Accuracy",
    "metric": 0.75,
    "confidence": {"temperature": 1.5, "thresholds": [[0.9, 0.4, 0.95]]},
    "likeness": {"means": [[0.6, 0.8], [1.0, 0.0]], "least": 0.7},
    "state": {"epoch": 3, "config": {"lr": 0.1}},
    "note": ["the user's own", None],
}


def test_every_field_is_written_and_read_again():
    metadata = Metadata.from_json(json.dumps(OLD))
    assert OLD.keys() - ENTRIES.keys() == {"note"} == set(metadata.other)
    assert ENTRIES.keys() <= OLD.keys(), "name the new field here"
    assert {name: getattr(metadata, name) for name in ENTRIES} == {n: OLD[n] for n in ENTRIES}
    assert json.loads(metadata.to_json()) == OLD == Metadata.from_json(metadata.to_json())


def test_scripts_of_0_1_0_read_it_as_a_mapping():
    metadata = Metadata.of({"mean": [0.5], "note": 1})
    assert metadata["mean"] == [0.5] and metadata["note"] == 1 and "std" not in metadata
    assert {**metadata, "std": [1.0]} == {"mean": [0.5], "std": [1.0], "note": 1}
    assert metadata.get("classes", "none") == "none" and metadata.std is None
    assert len(metadata) == 2 and Metadata() == {} and not Metadata()
    with pytest.raises(KeyError):
        metadata["std"]
    with pytest.raises(KeyError):
        metadata["other"]


def test_an_exported_file_carries_what_using_it_takes():
    used = {
        "architecture",
        "classes",
        "mean",
        "std",
        "input_size",
        "crop_fraction",
        "fit",
        "dataset",
        "confidence",
    }
    assert Metadata.of(OLD).for_use() == {name: OLD[name] for name in used}


@pytest.mark.parametrize(
    "name, value, message",
    [
        ("input_size", (32, 5000), "input_size must be a height and a width of 1 to 4096 pixels"),
        ("std", [0.0], "std must be a number from 1e-6 to 1e6 for each channel, not [0.0]"),
        ("crop_fraction", 1.5, "crop_fraction must be the part of an image's shorter side"),
        (
            "likeness",
            {"means": [[0.6], [1.0, 0.0]], "least": 0.7},
            "likeness must be mean features",
        ),
        ("confidence", {"temperature": 0, "thresholds": []}, "confidence must be a temperature"),
        ("confidence", {"temperature": 1, "thresholds": [[2, 0.5, 1]]}, "confidence must be"),
        ("tta", "yes", "tta must be true or false, not yes"),
    ],
)
def test_what_could_not_be_read_again_is_not_written(name, value, message, tmp_path):
    with pytest.raises(UserError) as caught:
        mindres.save_checkpoint(mindres.convnet(), tmp_path / "file.ckpt", **{name: value})
    assert message in str(caught.value) and not list(tmp_path.iterdir())


def test_a_network_is_recorded_as_it_is_and_not_as_its_file_said(tmp_path):
    mindres.save_checkpoint(mindres.convnet(3), tmp_path / "file.ckpt", classes=["a", "b", "c"])
    net, metadata = mindres.load_model(tmp_path / "file.ckpt")
    mindres.reset_head(net, 2)
    mindres.save_checkpoint(net, tmp_path / "two.ckpt", **replace(metadata, classes=["a", "b"]))
    again, metadata = mindres.load_model(tmp_path / "two.ckpt")
    assert metadata == {"architecture": net.architecture, "classes": ["a", "b"]}
    assert again.architecture["num_classes"] == 2
