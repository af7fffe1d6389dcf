"""Tables of paths and labels: columns recognised by what they hold, errors that name the row."""

import json
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from mindres.cli.program import run_command
from mindres.cli.training_data import find_data
from mindres.data.table import ImageTable
from mindres.data.table_rows import READERS
from mindres.errors import UserError


def images(folder, count=12):
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(count):
        Image.new("RGB", (8, 8), ((200, 0, 0), (0, 0, 200))[i % 2]).save(folder / f"{i}.png")
    return [f"{i}.png" for i in range(count)]


def opened(path, split="train", **options):
    return ImageTable(path, split, resize=8, batch_size=1, **options)


def write(path, rows, delimiter=","):
    path.write_text("".join(delimiter.join(map(str, row)) + "\n" for row in rows))
    return path


@pytest.mark.parametrize("suffix, delimiter", [(".csv", ","), (".csv", ";"), (".tsv", "\t")])
def test_columns_are_recognised_by_what_they_hold(tmp_path, suffix, delimiter):
    names = images(tmp_path / "shots")
    rows = [("id", "where", "kind")]
    rows += [(1000 + i, f"shots/{name}", ("red", "blue")[i % 2]) for i, name in enumerate(names)]
    data = opened(write(tmp_path / f"labels{suffix}", rows, delimiter), "all")
    assert data.classes == ("blue", "red") and len(data) == 12
    pixels = {
        int(label[0]): image[0, :, 0, 0].argmax()
        for image, label in data.run().create_tuple_iterator(output_numpy=True, num_epochs=1)
    }
    assert pixels == {0: 2, 1: 0}


def test_splits_and_groups_of_the_table_are_respected(tmp_path):
    names = images(tmp_path, 40)
    head = ("file", "label", "split", "group")
    rows = [
        (name, i % 2, "test" if i >= 30 else "train", f"p{i // 3}") for i, name in enumerate(names)
    ]
    table = write(tmp_path / "t.csv", [head, *rows])
    assert ImageTable.missing_splits(table) == ("val",)
    parts = {s: opened(table, s, validation_fraction=0.3) for s in ("train", "val", "test")}
    assert {s: data.split for s, data in parts.items()} == {s: s for s in parts}
    found = {s: {name.rpartition("/")[2] for name in d.image_names()} for s, d in parts.items()}
    assert found["test"] == set(names[30:])
    assert found["train"] | found["val"] == set(names[:30]) and not found["train"] & found["val"]
    groups = [{int(name[:-4]) // 3 for name in found[s]} for s in ("train", "val")]
    assert not groups[0] & groups[1]


def test_hugging_face_image_folder(tmp_path):
    for split, count in (("train", 8), ("test", 4)):
        names = images(tmp_path / split, count)
        lines = [{"file_name": name, "label": i % 2} for i, name in enumerate(names)]
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (tmp_path / split / "metadata.jsonl").write_text(text)
    assert find_data(str(tmp_path), None) == ("table", str(tmp_path))
    assert len(opened(tmp_path, "test")) == 4 and len(opened(tmp_path, "train")) == 8
    assert Counter(opened(tmp_path, "test").split_labels().tolist()) == {0: 2, 1: 2}


def test_parquet(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    names = images(tmp_path)
    table = pyarrow.table({"path": names, "label": [f"c{i % 3}" for i in range(12)]})
    parquet.write_table(table, tmp_path / "t.parquet")
    assert opened(tmp_path / "t.parquet").classes == ("c0", "c1", "c2")


def test_numbers_are_in_their_order(tmp_path):
    names = images(tmp_path, 12)
    table = write(tmp_path / "t.csv", [("p", "label"), *zip(names, range(12))])
    assert opened(table, "all").classes == tuple(map(str, range(12)))


@pytest.mark.parametrize(
    "rows, message",
    [
        ([("p", "label"), ("0.png", 1), ("9.png", 2)], "row 3: there is no file '9.png'"),
        ([("p", "label"), ("0.png", 1), ("1.png", "")], "row 3 has nothing in the column label"),
        ([("p", "label"), ("0.png", 1), ("1.png",)], "row 3 has other columns"),
        ([("p", "label"), ("0.png", 1), ("0.png", 2)], "row 3 names the image of .*row 2 again"),
        ([("p", "label"), ("x.png", 1)], "no column of .* names existing files"),
        ([("p", "label"), ("0.png", 1), ("1.png", 1)], "has one label, '1'"),
        (
            [("p", "a", "b"), ("0.png", 1, 2), ("1.png", 2, 1)],
            "it is not clear which column of .* has the labels .candidates: a, b",
        ),
        ([("p", "label")], "has no rows"),
        ([], "has no rows"),
    ],
)
def test_what_is_wrong_is_named_with_its_row(tmp_path, rows, message):
    images(tmp_path, 2)
    with pytest.raises(UserError, match=message):
        opened(write(tmp_path / "t.csv", rows))


def test_other_files_and_columns(tmp_path):
    names = images(tmp_path, 4)
    table = write(
        tmp_path / "t.csv", [("p", "a", "b"), *((n, i % 2, i // 2) for i, n in enumerate(names))]
    )
    assert opened(table, "all", label_column="b").split_labels().tolist() == [0, 0, 1, 1]
    with pytest.raises(UserError, match="has no column c: it has p, a, b"):
        opened(table, label_column="c")
    (tmp_path / "bad.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match=r"bad\.csv cannot be read as a table"):
        opened(tmp_path / "bad.csv")
    with pytest.raises(UserError, match="neither a folder nor a table"):
        find_data(str(tmp_path / "0.png"), None)


def test_a_row_is_a_kind_of_table(tmp_path, monkeypatch):
    names = images(tmp_path, 4)
    rows = [(number, {"file": name, "label": number % 2}) for number, name in enumerate(names)]
    monkeypatch.setitem(READERS, ".rows", lambda path: rows)
    table = tmp_path / "t.rows"
    table.write_text("a table")
    assert find_data(str(table), None) == ("table", str(table))
    assert opened(table, "all").split_labels().tolist() == [0, 1, 0, 1]
    with pytest.raises(UserError, match=r"ends in .*\.parquet or \.rows"):
        find_data(str(tmp_path / "0.png"), None)
    with pytest.raises(UserError, match=r"ends in .*\.parquet, \.rows"):
        opened(tmp_path / "0.png")


def test_train_and_eval_take_a_table(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names = images(tmp_path / "shots", 60)
    rows = [("image", "kind", "day"), *((f"shots/{n}", i % 2, i % 20) for i, n in enumerate(names))]
    write(tmp_path / "labels.csv", rows)
    flags = "--arch lenet5 --pretrained false --epochs 1 --batch_size 8 --device_target CPU"
    run_command(["train", "labels.csv", "--label_column", "kind", "--group", "day", *flags.split()])
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("Test accuracy")
    run_command(["eval", "--ckpt", "ckpt/best.ckpt", "--json", "--device_target", "CPU"])
    found = json.loads(capsys.readouterr().out)
    assert found["used_for"] == "judgement" and f"on {found['num_images']} images" in last
    assert np.array(found["confusion_matrix"]).shape == (2, 2)
