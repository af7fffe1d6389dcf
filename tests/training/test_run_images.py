"""What a command knows of the run that wrote a checkpoint: its images, and what they were used for."""

import argparse
import json
import shutil

import numpy as np
import pytest
from PIL import Image

import mindres
from mindres.cli.program import run_command
from mindres.cli.training_data import resolve_size
from mindres.data.folder import ImageFolder
from mindres.errors import UserError
from mindres.report.writer import write_report
from mindres.runs import images


def photos(folder, count, seed=0):
    """`count` photographs of each of two classes, which a network can tell apart."""
    rng = np.random.default_rng(seed)
    for name, color in (("blue", (20, 40, 220)), ("red", (220, 40, 20))):
        (folder / name).mkdir(parents=True)
        for i in range(count):
            noise = rng.integers(-20, 20, (36, 48, 3))
            pixels = np.clip(noise + color, 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{seed}-{i}.png")
    return folder


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folder of a training on 60 photographs, a third held out and a broken one left out, in `ckpt`."""
    root = tmp_path_factory.mktemp("trained")
    photos(root / "photos", 30)
    (root / "photos" / "red" / "broken.png").write_bytes(b"no image")
    flags = "--arch lenet5 --pretrained false --epochs 2 --batch_size 8 --lr 0.01 --resize 32"
    held_out = "--validation_fraction 0.3 --skip_broken --device_target CPU"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        run_command(["train", "photos", *flags.split(), *held_out.split()])
    return root


def evaluated(capsys, trained, *arguments):
    """What `mindres eval --json` says, asked in another folder than the training's."""
    capsys.readouterr()
    ckpt = str(trained / "ckpt" / "best.ckpt")
    run_command(["eval", "--ckpt", ckpt, "--device_target", "CPU", "--json", *arguments])
    return json.loads(capsys.readouterr().out)


def test_eval_measures_the_runs_own_validation_images(trained, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ours = {"validation_fraction": 0.3, "skip_broken": True}
    held_out = len(ImageFolder(trained / "photos", "val", **ours))
    assert 12 <= held_out <= 24
    found = evaluated(capsys, trained, "--split", "val")
    metadata = mindres.load_model(trained / "ckpt" / "best.ckpt")[1]
    assert (found["num_images"], found["accuracy"]) == (held_out, pytest.approx(metadata.metric))
    assert (found["split"], found["used_for"]) == ("val", "selection")
    trains = evaluated(capsys, trained, "--split", "train")
    judges = evaluated(capsys, trained)
    assert (trains["used_for"], judges["used_for"]) == ("training", "judgement")
    assert judges["split"] == "test" and judges["num_images"] >= 4
    assert trains["num_images"] + held_out + judges["num_images"] == 60
    # The checkpoint itself says what was held out, wherever it lies.
    shutil.copy(trained / "ckpt" / "best.ckpt", tmp_path / "moved.ckpt")
    places = ["--dataset_path", str(trained / "photos"), "--device_target", "CPU", "--json"]
    run_command(["eval", "--ckpt", "moved.ckpt", *places])
    moved = json.loads(capsys.readouterr().out)
    assert moved["confusion_matrix"] == judges["confusion_matrix"] and moved["split"] == "test"


def test_all_images_of_new_photographs_are_measured(trained, capsys, tmp_path):
    new = photos(tmp_path / "new", 13, seed=1)
    found = evaluated(capsys, trained, "--dataset_path", str(new), "--split", "all")
    assert (found["num_images"], found["split"], found["used_for"]) == (26, "all", None)
    shutil.copytree(new, tmp_path / "parts" / "train")
    shutil.copytree(new / "red", tmp_path / "parts" / "test" / "red")
    found = evaluated(capsys, trained, "--dataset_path", str(tmp_path / "parts"), "--split", "all")
    assert found["num_images"] == 26 + 13
    assert [row["support"] for row in found["per_class"]] == [13, 26]


def test_plot_and_report_know_them_too(trained, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ckpt = str(trained / "ckpt" / "best.ckpt")
    run_command(["plot", "confusion", "--ckpt", ckpt, "--split", "val", "--device_target", "CPU"])
    page = write_report(trained / "ckpt", tmp_path / "report.html", split="val").path.read_text()
    assert "val images of ImageFolder, used to select this checkpoint" in page
    assert "<dt>Images (val)</dt>" in page
    page = write_report(trained / "ckpt", tmp_path / "report.html").path.read_text()
    assert "test images of ImageFolder, which neither trained the network nor selected" in page
    assert "21 val images selected it" in page


def test_broken_images_of_other_folders_are_left_out_where_asked(
    trained, capsys, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    kept = tmp_path / "kept.ckpt"
    net, metadata = mindres.load_model(trained / "ckpt" / "best.ckpt")
    mindres.save_checkpoint(net, kept, **{**metadata, "skip_broken": False})
    new = photos(tmp_path / "new", 3, seed=1)
    (new / "red" / "gone.png").symlink_to(tmp_path / "nowhere.png")
    of_new = ["--dataset", "folder", "--dataset_path", str(new), "--split", "all"]
    drawn = ["plot", "dataset", *of_new]
    measured = ["eval", "--ckpt", str(kept), "--json", "--device_target", "CPU", *of_new]
    report = ["report", str(trained / "ckpt"), "--ckpt", str(kept), "--out", "report.html", *of_new]
    for command in (drawn, measured, report):
        with pytest.raises(UserError, match=r"gone.png cannot be read: .*`skip_broken`"):
            run_command(command)
        capsys.readouterr()
        run_command([*command, "--skip_broken"])
        if command is measured:
            assert json.loads(capsys.readouterr().out)["num_images"] == 6
    assert "evaluated on the 6 images" in (tmp_path / "report.html").read_text()


def test_text_says_which_images(trained, capsys, tmp_path):
    ckpt = str(trained / "ckpt" / "best.ckpt")
    run_command(["eval", "--ckpt", ckpt, "--device_target", "CPU"])
    first = capsys.readouterr().out.splitlines()[0]
    assert "test images of ImageFolder, which neither trained the network nor selected" in first
    new = photos(tmp_path / "new", 3, seed=1)
    places = ["--dataset_path", str(new), "--split", "all", "--device_target", "CPU"]
    run_command(["eval", "--ckpt", ckpt, *places])
    first = capsys.readouterr().out.splitlines()[0]
    assert first == "lenet5 on the 6 images of ImageFolder"


def test_a_checkpoint_of_another_run_is_not_taken_for_this_ones(trained, tmp_path):
    ckpt = trained / "ckpt" / "best.ckpt"
    metadata = mindres.load_model(ckpt)[1]
    assert images.settings(ckpt, metadata)["validation_fraction"] == 0.3
    assert images.settings(ckpt, metadata, "cifar10") == {}
    moved = tmp_path / "best.ckpt"
    shutil.copy(ckpt, moved)
    assert images.settings(moved, metadata) == {}
    (tmp_path / "config.json").write_text('{"run": "another", "dataset_path": "elsewhere"}')
    assert images.settings(moved, metadata) == {}
    config = json.loads((trained / "ckpt" / "config.json").read_text())
    damaged = {**config, "dataset_path": 3, "validation_fraction": "much"}
    (tmp_path / "config.json").write_text(json.dumps(damaged))
    assert images.settings(moved, metadata) == {"split": "val", "images": config["images"]}


def test_one_figure_at_the_end_and_a_resumed_run_keeps_its_images(trained, capsys, monkeypatch):
    monkeypatch.chdir(trained)
    config = json.loads((trained / "ckpt" / "config.json").read_text())
    assert (config["validation_fraction"], config["test_fraction"]) == (0.3, 0.15)
    capsys.readouterr()
    again = "--arch lenet5 --pretrained false --epochs 2 --batch_size 8 --lr 0.01 --resize 32"
    resumed = ["--resume", "--skip_broken", "--device_target", "CPU"]
    run_command(["train", "photos", *again.split(), *resumed])
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == (
        "28 images to train on, 21 (val) to choose the best weights, 11 (test) to measure them at the end"
    )
    assert lines[-1].startswith("Test accuracy: ") and "on 11 images that neither" in lines[-1]


def test_official_test_images_judge_built_in_data(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    flags = "--arch lenet5 --pretrained false --epochs 1 --batch_size 256 --device_target CPU"
    run_command(["train", "digits", *flags.split()])
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == (
        "1,293 images to train on, 144 (val) to choose the best weights, 360 (test) to measure them at the end"
    )
    assert "on 360 images that neither" in lines[-1]
    with pytest.raises(UserError, match="digits has test images of its own"):
        run_command(["train", "digits", "--group", "x", "--device_target", "CPU"])


@pytest.mark.parametrize(
    "dataset, arch, side", [("folder", "inception_v3", 299), ("digits", "resnet50", 32)]
)
def test_own_images_have_the_networks_size(dataset, arch, side):
    args = argparse.Namespace(dataset=dataset, arch=arch, resize=None)
    resolve_size(args)
    assert args.resize == side
