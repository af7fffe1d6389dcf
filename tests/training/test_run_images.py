"""What a command knows of the run that wrote a checkpoint: its images, and what they were used for."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

import mindres
from mindres.cli.program import run_command
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
    found = evaluated(capsys, trained, "--split", "train")
    assert (found["num_images"], found["used_for"]) == (60 - held_out, "training")
    assert evaluated(capsys, trained)["split"] == "val", "there are no others"


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
    told = ["report", str(trained / "ckpt"), "--ckpt", str(kept), "--out", "report.html", *of_new]
    for command in (drawn, measured, told):
        with pytest.raises(UserError, match=r"gone.png cannot be read: .*--skip_broken"):
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
    assert first.endswith("val images of ImageFolder, used to select this checkpoint")
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
    assert images.settings(moved, metadata) == {"split": "val"}
