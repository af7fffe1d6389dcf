"""What `mindres check` finds: errors that were planted, and nothing else; its page and its table."""

import csv
import json

import numpy as np
import pytest
from PIL import Image, ImageFilter
from sklearn.metrics import average_precision_score
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.neighbors import NearestNeighbors

from mindres.check import KINDS, duplicates, labels, neighbours, outliers
from mindres.check.checked_images import open_checked
from mindres.check.checking import check_data
from mindres.check.features import network_features
from mindres.check.measures import measure
from mindres.cli import program
from mindres.cli.program import run_command
from mindres.data.folder import ImageFolder
from mindres.errors import UserError
from mindres.evaluation.likeness import directions, image_features
from mindres.weights.metadata import Metadata

TINTS = {"blue": (0, 0, 70), "green": (0, 70, 0), "red": (70, 0, 0)}


def picture(rng, tint):
    """A random picture of a class's colour: coarse patches, and fine detail all over."""
    coarse = Image.fromarray(rng.integers(40, 150, (5, 5, 3), np.uint8))
    smooth = np.asarray(coarse.resize((48, 40), Image.Resampling.BICUBIC), np.float32)
    detail = rng.normal(0, 12, (40, 48, 1))
    return Image.fromarray(np.clip(smooth + detail + tint, 0, 255).astype(np.uint8))


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """A folder of 108 pictures in which one of everything is wrong: (folder, {kind: file})."""
    root, rng = tmp_path_factory.mktemp("planted") / "photos", np.random.default_rng(0)
    for split, count in (("train", 24), ("test", 12)):
        for name, tint in TINTS.items():
            (root / split / name).mkdir(parents=True)
            for i in range(count):
                picture(rng, tint).save(root / split / name / f"{i:02}.jpg", quality=95)
    train = root / "train"
    mirrored = Image.open(root / "test/red/05.jpg").resize((70, 60))
    mirrored.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(train / "red/leak.jpg", quality=80)
    (train / "blue/same.jpg").write_bytes((train / "blue/03.jpg").read_bytes())
    (train / "green/wrong.jpg").write_bytes(b"")
    picture(rng, TINTS["red"]).save(train / "green/wrong.jpg", quality=95)
    (train / "red/broken.jpg").write_bytes((train / "red/00.jpg").read_bytes()[:300])
    Image.new("RGB", (48, 40), (90, 90, 90)).save(train / "red/blank.png")
    dark = np.asarray(picture(rng, TINTS["blue"])) // 10
    Image.fromarray(dark).save(train / "blue/dark.png")
    soft = picture(rng, TINTS["green"]).filter(ImageFilter.GaussianBlur(2))
    soft.save(train / "green/blurred.png")
    return root


@pytest.fixture
def table(planted, tmp_path, capsys):
    """The rows of check.csv on the planted folder by kind, and the folder that has it."""
    run_command(["check", str(planted), "--arch", "none", "--out", str(tmp_path / "out")])
    with open(tmp_path / "out" / "check.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    told = capsys.readouterr().out
    assert told.endswith(f"{tmp_path / 'out' / 'check.html'}\n{tmp_path / 'out' / 'check.csv'}\n")
    assert "114 images (" in told
    return {kind: [row for row in rows if row["kind"] == kind] for kind in KINDS}, tmp_path / "out"


def test_planted_errors_are_found_and_no_others(planted, table):
    rows, out = table
    train = planted / "train"
    named = {kind: [row["path"] for row in found] for kind, found in rows.items()}
    for kind in ("broken", "blank", "dark", "blurred"):
        [path] = named[kind]
        assert path.startswith(str(train)) and f"/{kind}." in path
    assert named["leak"] == [str(train / "red/leak.jpg")]
    assert rows["leak"][0]["suggestion"] == str(planted / "test/red/05.jpg")
    assert named["duplicate"] == [str(train / "blue/same.jpg")]
    assert rows["duplicate"][0]["suggestion"] == str(train / "blue/03.jpg")
    assert float(rows["duplicate"][0]["score"]) == 1
    [wrong] = [row for row in rows["label"] if row["path"] == str(train / "green/wrong.jpg")]
    assert wrong["suggestion"] == "red" and wrong["label"] == "green"
    assert len(rows["label"]) < 10, "of 114"
    assert {row["split"] for found in rows.values() for row in found} <= {
        "train",
        "val",
        "test",
        "",
    }
    page = (out / "check.html").read_text()
    assert len(page) < 5_000_000 and "https:" not in page and "Written by mindres check" in page
    for kind, (heading, _) in KINDS.items():
        assert (f'<h2 id="{kind}">{heading}</h2>' in page) == bool(rows[kind])


def test_json_is_one_document(planted, tmp_path, capsys):
    run_command(["check", str(planted), "--arch", "none", "--out", str(tmp_path), "--json"])
    told = json.loads(capsys.readouterr().out)
    assert told["counts"]["leak"] == 1 and told["classes"]["green"] == 38
    assert told["smallest_size"] == [40, 48]
    assert told["kept_by_crop"]["mean"] == pytest.approx(0.875**2 * 40 / 48, abs=0.01)


def test_features_of_a_checkpoint(planted, tmp_path, capsys):
    from a_run import network, write_run

    from mindres.data.digits import Digits

    run = write_run(tmp_path, network(), Digits(split="test"))
    out = str(tmp_path / "out")
    run_command(["check", str(planted), "--ckpt", str(run / "best.ckpt"), "--out", out, "--json"])
    told = json.loads(capsys.readouterr().out)
    assert told["images"] == 114 and told["counts"]["leak"] == 1
    assert len(told["notes"]) == 1 and "doubts labels agrees with" in told["notes"][0]


def test_a_folder_that_is_not_there(capsys, tmp_path):
    with pytest.raises(SystemExit) as left:
        program.main(["check", str(tmp_path / "gone"), "--out", str(tmp_path / "out")])
    error = capsys.readouterr().err
    assert left.value.code == 2 and error.startswith("mindres: error: there is no folder")
    assert not (tmp_path / "out").exists()


def test_images_of_a_built_in_data_set_have_numbers():
    images = open_checked("digits", None, 0.1)
    assert images.names[0] == "train/0" and images.names[-1] == "test/359"
    measures = measure(images)
    assert len(measures.digests) == len(images) == 1797
    first, last = images.some([0, 1796]).values()
    np.testing.assert_array_equal(images.image(1796), last)
    assert measures.sizes[0].tolist() == list(first.shape[:2])


def test_images_are_prepared_as_for_the_network(planted):
    metadata = Metadata(mean=[0.1, 0.2, 0.3], std=[0.4, 0.5, 0.6], crop_fraction=1.0)
    usual = open_checked("folder", planted, 0.15, resize=8).parts[0]
    for part in open_checked("folder", planted, 0.15, metadata, resize=8).parts:
        assert (part.mean, part.std) == ((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
        assert part.crop_fraction == 1.0 > usual.crop_fraction
    grey = Metadata(mean=[0.1], std=[0.4])
    assert open_checked("folder", planted, 0.15, grey, resize=8).parts[0].mean == usual.mean


def test_features_of_a_network_are_means_of_an_image_and_its_mirror_image(planted):
    from a_run import network

    net = network()
    images = open_checked("folder", planted, 0.15, resize=32)
    part = images.parts[-1]
    found = network_features(net, images)[-len(part) :]
    pixels = np.concatenate(
        [rows for rows, _ in part.run().create_tuple_iterator(output_numpy=True)]
    )
    both = [image_features(net, each) for each in (pixels, pixels[..., ::-1])]
    np.testing.assert_allclose(found, np.mean(both, axis=0), atol=1e-5)
    assert np.abs(both[0] - both[1]).max() > 0.01


def test_neighbours_are_those_of_scikit_learn(monkeypatch):
    monkeypatch.setattr(neighbours, "BLOCK", 7)
    vectors = directions(np.random.default_rng(0).normal(size=(40, 6)))
    reference = NearestNeighbors(n_neighbors=5, metric="cosine", algorithm="brute").fit(vectors)
    distances = reference.kneighbors()[0]
    np.testing.assert_allclose(neighbours.nearest(vectors, 5), 1 - distances, atol=1e-6)
    pairs, scores = neighbours.similar_pairs(vectors, vectors, 0.5)
    expected = {(i, j) for i, j in np.argwhere(vectors @ vectors.T >= 0.5).tolist() if i < j}
    assert set(map(tuple, pairs.tolist())) == expected and len(expected) > 5
    np.testing.assert_allclose(scores, [vectors[i] @ vectors[j] for i, j in pairs], atol=1e-6)


def test_copies_of_copies_are_one_set():
    copies = duplicates.Copies(np.array([[0, 3], [3, 4], [1, 2]]), np.ones(3))
    sets = copies.sets(6)
    assert len({*sets[[0, 3, 4]]}) == 1 and sets[1] == sets[2] and len(set(sets)) == 3


def clusters(flipped, count=300):
    """Features around four centres, labels of which some are wrong, and which."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 4, count)
    features = rng.normal(0, 1, (count, 8)) + 4 * np.eye(8)[truth]
    wrong = rng.choice(count, flipped, replace=False)
    given = truth.copy()
    given[wrong] = (truth[wrong] + rng.integers(1, 4, flipped)) % 4
    return features, given, truth, wrong


@pytest.mark.parametrize("pixels", [False, True])
def test_flipped_labels_are_ranked_first_with_the_right_suggestion(pixels):
    features, given, truth, wrong = clusters(flipped=15)
    probabilities = labels.out_of_sample(features, given, np.arange(300), pixels)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)
    found = labels.find_label_issues(probabilities, given)
    flipped = np.isin(np.arange(300), wrong)
    own = probabilities[np.arange(300), given]
    assert average_precision_score(flipped, -own) > 0.9
    assert {*found.positions[:5]} <= {*wrong} and len({*wrong} & {*found.positions}) >= 10
    right = np.isin(found.positions, wrong)
    assert np.mean(found.suggestions[right] == truth[found.positions[right]]) > 0.85
    assert (np.diff(found.scores) <= 0).all()


def test_no_image_is_judged_by_a_model_that_saw_its_copy(monkeypatch):
    features, given, _, _ = clusters(flipped=0, count=60)
    groups = np.repeat(np.arange(30), 2)
    seen = []
    split = StratifiedGroupKFold.split

    def recorded(self, *arguments):
        for others, held in split(self, *arguments):
            seen.append({*groups[others]} & {*groups[held]})
            yield others, held

    monkeypatch.setattr(StratifiedGroupKFold, "split", recorded)
    labels.out_of_sample(features, given, groups)
    assert seen == [set()] * labels.FOLDS


def test_small_classes_are_left_alone():
    features, given, _, _ = clusters(flipped=0, count=60)
    given[given == 3] = 2
    given[:3] = 3
    probabilities = labels.out_of_sample(features, given, np.arange(60))
    assert not probabilities[:3].any() and not probabilities[:, 3].any()
    assert not {0, 1, 2} & {*labels.find_label_issues(probabilities, given).positions}
    assert labels.out_of_sample(features, np.zeros(60, int), np.arange(60)) is None


def test_an_image_far_from_all_others_is_an_outlier():
    rng = np.random.default_rng(0)
    features = np.abs(rng.normal(1, 0.1, (200, 16)))
    features[17] = np.eye(16)[0]
    assert list(outliers.find_outliers(features)) == [17]
    assert outliers.find_outliers(features[:20]) == {}


def test_a_model_that_knows_nothing_doubts_nothing(planted):
    images = open_checked("folder", planted, 0.15)
    images.labels = np.random.default_rng(0).permutation(images.labels)
    result = check_data(images)
    assert result.of_kind("label") == [] and "too few to believe it" in result.notes[-1]


def test_what_check_csv_names_is_left_out_of_training_alone(planted, table):
    rows, out = table
    every = {split: open_folder(planted, split) for split in ("train", "test")}
    kept = {split: open_folder(planted, split, without=out / "check.csv") for split in every}
    named = {row["path"] for found in rows.values() for row in found}
    left = set(every["train"].image_names()) - set(kept["train"].image_names())
    assert left == named & set(every["train"].image_names()) and len(left) >= 6
    assert (
        len(kept["train"]) == len(every["train"]) - len(left) == len(kept["train"].split_labels())
    )
    assert kept["test"].image_names() == every["test"].image_names()
    assert kept["train"].plain().fingerprint() != every["train"].plain().fingerprint()


def open_folder(path, split, **options):
    return ImageFolder(path, split, resize=8, skip_broken=True, **options)


@pytest.mark.parametrize(
    "content, told",
    [(None, "No such file"), ("kind\nlabel\n", "no column path"), ("all of blue", "'blue'")],
)
def test_what_cannot_be_left_out(planted, tmp_path, content, told):
    table = tmp_path / "check.csv"
    if content == "all of blue":
        content = "path\n" + "\n".join(map(str, (planted / "train" / "blue").iterdir()))
    if content:
        table.write_text(content)
    with pytest.raises(UserError, match=told):
        open_folder(planted, "train", without=table).indices()


def test_training_takes_the_table(planted, table, tmp_path, monkeypatch, capsys):
    _, out = table
    monkeypatch.chdir(tmp_path)
    flags = ["--arch", "lenet5", "--pretrained", "false", "--epochs", "1", "--resize", "32"]
    flags += ["--batch_size", "8", "--max_steps", "2"]
    run_command(["train", str(planted), "--without", str(out / "check.csv"), *flags])
    kept = open_folder(planted, "train", without=out / "check.csv", validation_fraction=0.15)
    assert f"{len(kept)} images to train on, " in capsys.readouterr().out
    with pytest.raises(SystemExit) as left:
        program.main(["train", "digits", "--without", str(out / "check.csv"), *flags])
    assert left.value.code == 2 and "--without is for images of your own" in capsys.readouterr().err


def corrected(out, tmp_path, **labels):
    """A check.csv in which images have other labels, by the names of their files."""
    rows = list(csv.DictReader((out / "check.csv").open()))
    for row in rows:
        row["label"] = labels.get(row["path"].rpartition("/")[2].partition(".")[0], row["label"])
    with (tmp_path / "corrected.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return tmp_path / "corrected.csv"


def test_labels_that_check_csv_corrects_are_trained_on(planted, table, tmp_path):
    mended = corrected(table[1], tmp_path, wrong="red")
    wrong = str(planted / "train/green/wrong.jpg")
    plain = open_folder(planted, "train", validation_fraction=0.2)
    found = open_folder(planted, "train", validation_fraction=0.2, relabel=mended)
    assert found.relabelled == ((wrong, "red"),) and found.image_names() == plain.image_names()
    changed = np.flatnonzero(found.split_labels() != plain.split_labels())
    assert [found.image_names()[i] for i in changed] == [wrong]
    assert found.classes[found.split_labels()[changed[0]]] == "red"
    assert found.plain().fingerprint() != plain.plain().fingerprint()
    labels = [labels for _, labels in found.plain().run().create_tuple_iterator(output_numpy=True)]
    assert np.concatenate(labels).tolist() == found.split_labels().tolist()
    held_out = open_folder(planted, "val", validation_fraction=0.2, relabel=mended)
    assert held_out.relabelled == ()
    both = open_folder(planted, "train", without=mended, relabel=mended)
    assert (
        wrong in both.image_names()
        and str(planted / "train/red/blank.png") not in both.image_names()
    )


def test_labels_that_cannot_be_taken(planted, table, tmp_path):
    with pytest.raises(UserError, match=r"row \d+: there is no class 'rad': .*red"):
        open_folder(planted, "train", relabel=corrected(table[1], tmp_path, wrong="rad"))
    (tmp_path / "twice.csv").write_text(
        "path,label\n"
        + "".join(f"{planted}/train/green/wrong.jpg,{name}\n" for name in ("red", "blue"))
    )
    with pytest.raises(UserError, match=r"row 3 says that .* 'blue', an earlier row .* 'red'"):
        open_folder(planted, "train", relabel=tmp_path / "twice.csv")
    (tmp_path / "none.csv").write_text("path\nx\n")
    with pytest.raises(UserError, match="has no column label"):
        open_folder(planted, "train", relabel=tmp_path / "none.csv")
