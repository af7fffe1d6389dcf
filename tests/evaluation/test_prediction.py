"""Images of any kind, what the network says of them, and the command."""

import io
import json
import subprocess
import sys

import mindspore
import numpy as np
import pytest
from a_run import metadata, network, write_run
from conftest import ROOT, clean_environment
from PIL import Image

import mindres
from mindres.cli.program import run_command
from mindres.data import as_trained, image_files, images
from mindres.data.digits import Digits
from mindres.data.folder import ImageFolder
from mindres.errors import UserError
from mindres.evaluation.trained_data import open_data

RNG = np.random.default_rng(0)
COLOR = RNG.integers(0, 256, (20, 30, 3), np.uint8)


def saved(image, path, **options):
    image.save(path, **options)
    return path


def test_predict_gives_pytorchs_softmax_and_the_likeliest_class():
    torch = pytest.importorskip("torch")
    net, images = network(), RNG.normal(size=(70, 3, 32, 32)).astype(np.float32)
    answer = mindres.predict(net, images)
    logits = torch.tensor(
        np.concatenate([net(mindspore.Tensor(images[i : i + 35])).asnumpy() for i in (0, 35)])
    )
    np.testing.assert_allclose(answer.probabilities, torch.softmax(logits, 1).numpy(), atol=1e-5)
    np.testing.assert_array_equal(answer.classes, logits.argmax(1))
    tensor = mindres.predict(net, mindspore.Tensor(images[:2]))
    np.testing.assert_allclose(tensor.probabilities, answer.probabilities[:2], atol=1e-6)


def test_images_of_other_channels_are_refused():
    """The native operators would take them for groups, and train a network of another kind."""
    net, colour = mindres.lenet5(10), Digits(split="test", channels=3)
    for ask in (
        lambda: mindres.train(net, colour.run(), colour.run(), epochs=1, ckpt_dir=None),
        lambda: mindres.train(net, colour, colour, ckpt_dir=None),
        lambda: mindres.evaluate(net, colour),
        lambda: mindres.predict(net, np.zeros((2, 3, 32, 32), np.float32)),
    ):
        with pytest.raises(UserError, match="images have 3 channels and the network takes 1"):
            ask()
    with pytest.raises(UserError, match=r"shape \(N, C, H, W\), not \(1, 32, 32\)"):
        mindres.predict(net, np.zeros((1, 32, 32), np.float32))


def test_predict_takes_file_names(tmp_path):
    """As arrays that were prepared by hand, for a network that was loaded."""
    net, data = network(), Digits(split="test")
    write_run(tmp_path, net, data)
    names = [tmp_path / "a.png", str(tmp_path / "b.png")]
    for name in names:
        saved(Image.fromarray(RNG.integers(0, 256, (20, 30, 3), np.uint8)), name)
    with pytest.raises(UserError, match="does not say how its images are prepared"):
        mindres.predict(net, names)
    loaded, recorded = mindres.load_model(tmp_path / "best.ckpt")
    prepared = np.stack([as_trained.preprocess(images.read_image(n), recorded) for n in names])
    wanted = mindres.predict(loaded, prepared)
    assert set(wanted.names) <= set(data.classes)
    for answer in (mindres.predict(loaded, names), mindres.predict(net, names, recorded)):
        np.testing.assert_allclose(answer.probabilities, wanted.probabilities, atol=1e-6)
        assert answer.names == wanted.names
    one = mindres.predict(loaded, names[1])
    assert one.probabilities.shape == (1, 10) and one.names == wanted.names[1:]
    with pytest.raises(UserError, match=r"none\.png"):
        mindres.predict(loaded, [tmp_path / "none.png"])


def test_predict_leaves_a_network_in_training_in_training():
    net = network("resnet20")
    net.set_train(True)
    before = net.backbone.conv1.features[1].moving_mean.asnumpy().copy()
    mindres.predict(net, np.ones((1, 3, 32, 32), np.float32))
    assert net.training
    np.testing.assert_array_equal(net.backbone.conv1.features[1].moving_mean.asnumpy(), before)


def test_colour_images_are_read_as_they_are(tmp_path):
    path = saved(Image.fromarray(COLOR), tmp_path / "a.png")
    np.testing.assert_array_equal(images.read_image(path), COLOR)
    np.testing.assert_array_equal(images.read_image(io.BytesIO(path.read_bytes())), COLOR)


def test_grey_images_become_rgb(tmp_path):
    grey = COLOR[..., 0]
    for name, image in (
        ("L.png", Image.fromarray(grey)),
        ("L.bmp", Image.fromarray(grey)),
        ("LA.png", Image.fromarray(grey).convert("LA")),
    ):
        np.testing.assert_array_equal(
            images.read_image(saved(image, tmp_path / name)),
            np.repeat(grey[..., None], 3, axis=2),
            name,
        )
    black = images.read_image(saved(Image.new("1", (5, 4), 1), tmp_path / "1.png"))
    assert black.shape == (4, 5, 3) and black.min() == 255


def test_sixteen_bits_become_eight(tmp_path):
    wide = COLOR[..., 0].astype(np.uint16) * 257
    for name in ("a.png", "a.tif"):
        path = saved(Image.fromarray(wide), tmp_path / name)
        assert Image.open(path).mode.startswith("I")
        np.testing.assert_array_equal(images.read_image(path)[..., 1], COLOR[..., 0], name)


@pytest.mark.parametrize("largest", [1, 255, 65535, 1e6])
def test_floats_of_any_range_are_scaled(tmp_path, largest):
    values = COLOR[..., 0] / COLOR[..., 0].max() * largest
    image = images.read_image(saved(Image.fromarray(values.astype(np.float32)), tmp_path / "a.tif"))
    np.testing.assert_allclose(image[..., 0], values / largest * 255, atol=0.51)


def test_what_is_transparent_becomes_white(tmp_path):
    alpha = np.zeros((20, 30), np.uint8)
    alpha[:, :10] = 255
    rgba = Image.fromarray(np.dstack([COLOR, alpha]))
    for name in ("rgba.png", "rgba.webp"):
        image = images.read_image(
            saved(rgba, tmp_path / name, **({"lossless": True} if "webp" in name else {}))
        )
        np.testing.assert_array_equal(image[:, :10], COLOR[:, :10], name)
        assert image[:, 10:].min() == 255, name
    palette = Image.fromarray((COLOR[..., 0] // 128).astype(np.uint8)).convert("P")
    palette.putpalette([255, 0, 0, 0, 0, 255])
    image = images.read_image(saved(palette, tmp_path / "p.gif", transparency=1))
    expected = np.where(COLOR[..., :1] // 128 == 0, [255, 0, 0], [255, 255, 255])
    np.testing.assert_array_equal(image, expected)


def test_palette_and_cmyk_become_rgb(tmp_path):
    few = Image.fromarray(COLOR).quantize(16)
    np.testing.assert_array_equal(
        images.read_image(saved(few, tmp_path / "p.png")), np.asarray(few.convert("RGB"))
    )
    cmyk = saved(Image.new("CMYK", (16, 16), (255, 0, 0, 0)), tmp_path / "c.jpg", quality=95)
    red, green, blue = images.read_image(cmyk).reshape(-1, 3).mean(0)
    assert red < 10 < 200 < min(green, blue), "cyan"


def test_photos_are_turned_as_their_camera_was(tmp_path):
    picture = Image.fromarray(COLOR)
    # EXIF 2.3, tag 0x112: what has to be done to the stored image.
    for orientation, stored in (
        (3, picture.rotate(180)),
        (6, picture.rotate(90, expand=True)),
        (8, picture.rotate(-90, expand=True)),
        (2, picture.transpose(Image.FLIP_LEFT_RIGHT)),
    ):
        exif = Image.Exif()
        exif[0x112] = orientation
        path = saved(stored, tmp_path / f"{orientation}.png", exif=exif)
        np.testing.assert_array_equal(images.read_image(path), COLOR, str(orientation))


def test_of_an_animation_the_first_frame_is_taken(tmp_path):
    frames = [Image.new("RGB", (9, 9), color) for color in ("red", "blue")]
    path = saved(frames[0], tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert images.read_image(path)[0, 0].tolist() == [255, 0, 0]


@pytest.mark.parametrize(
    "name, content",
    [
        ("missing.png", None),
        ("text.png", b"no image"),
        ("empty.png", b""),
        ("cut.png", 200),
        ("cut.jpg", 700),
    ],
)
def test_what_is_no_image_is_named(tmp_path, name, content):
    path = tmp_path / name
    if isinstance(content, int):
        Image.fromarray(RNG.integers(0, 256, (64, 64, 3), np.uint8)).save(path)
        content = path.read_bytes()[:content]
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=f"{name} cannot be read as an image: "):
        images.read_image(path)


def test_a_bomb_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(UserError, match=r"a.png cannot be read as an image: .*pixels"):
        images.read_image(saved(Image.fromarray(COLOR), tmp_path / "a.png"))


def test_images_are_prepared_as_their_dataset_prepares_them(tmp_path):
    """The same file through `preprocess` and through the C++ pipeline of the dataset that the network knows."""
    for name in ("a", "b"):
        (tmp_path / "test" / name).mkdir(parents=True)
        saved(
            Image.fromarray(RNG.integers(0, 256, (61, 83, 3), np.uint8)),
            tmp_path / "test" / name / "1.png",
        )
    (tmp_path / "train").symlink_to(tmp_path / "test")
    data = ImageFolder(tmp_path, "test", resize=32)
    [(expected, _)] = data.run().create_tuple_iterator(output_numpy=True, num_epochs=1)
    for path, image in zip([path for path, _ in data.images], expected):
        found = as_trained.preprocess(images.read_image(path), metadata(data))
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, image, atol=1e-5)


def test_whole_images_are_resized_and_grey_networks_get_grey():
    image = np.repeat(RNG.integers(0, 256, (50, 40, 1), np.uint8), 3, axis=2)
    recorded = {"dataset": "mnist", "input_size": [28, 28], "mean": [0.1307], "std": [0.3081]}
    grey = as_trained.preprocess(image, recorded)
    color = as_trained.preprocess(image, {**recorded, "mean": [0.1307] * 3, "std": [0.3081] * 3})
    assert (grey.shape, color.shape) == ((1, 28, 28), (3, 28, 28))
    np.testing.assert_allclose(grey[0], color[2], atol=0.02)
    with pytest.raises(UserError, match=r"does not say how its images are prepared \(mean, std\)"):
        as_trained.preprocess(image, {"input_size": [8, 8]})


@pytest.mark.parametrize("shape", [(1, 100_000), (100_000, 1), (1, 1), (300, 2000)])
def test_extreme_shapes_take_no_extreme_memory(shape):
    recorded = {
        "crop_fraction": 0.875,
        "input_size": [224, 224],
        "mean": [0.5] * 3,
        "std": [0.5] * 3,
    }
    image = np.full((*shape, 3), 128, np.uint8)
    assert as_trained.preprocess(image, recorded).shape == (3, 224, 224)
    assert max(as_trained.visible(image, recorded).shape) <= as_trained.LARGEST_PICTURE


def test_the_visible_part_is_what_the_network_sees():
    image = np.zeros((100, 300, 3), np.uint8)
    image[:, 100:200] = 255
    recorded = {"input_size": [28, 28], "mean": [0.5] * 3, "std": [0.5] * 3, "crop_fraction": 0.875}
    seen = as_trained.visible(image, recorded)
    assert seen.shape == (88, 88, 3) and seen.min() == 255
    assert as_trained.preprocess(image, recorded).min() > 0.9
    assert as_trained.visible(image, {**recorded, "crop_fraction": 1.0}).shape == image.shape


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("run"), network(), Digits(split="test"))


@pytest.fixture
def photos(tmp_path):
    (tmp_path / "photos" / "deep").mkdir(parents=True)
    for name in ("a.png", "deep/b.jpg", "deep/c.PNG"):
        Image.fromarray(RNG.integers(0, 256, (40, 50, 3), np.uint8)).save(
            tmp_path / "photos" / name
        )
    (tmp_path / "photos" / "note.txt").write_text("not an image")
    return tmp_path / "photos"


def test_predict_command(run, photos, capsys):
    assert (
        run_command(["predict", str(photos), "--ckpt", str(run / "best.ckpt"), "--top_k", "2"]) == 0
    )
    lines = capsys.readouterr().out.splitlines()
    net, recorded = mindres.load_model(run / "best.ckpt")
    assert [line.partition(": ")[0] for line in lines] == [
        str(photos / n) for n in ("a.png", "deep/b.jpg", "deep/c.PNG")
    ]
    for line in lines:
        path, _, said = line.partition(": ")
        [probabilities] = mindres.predict(
            net, as_trained.preprocess(images.read_image(path), recorded)[None]
        ).probabilities
        first, second = np.argsort(-probabilities)[:2]
        assert said == f"{first} {probabilities[first]:.1%}, {second} {probabilities[second]:.1%}"


def test_predict_for_machines_names_what_it_cannot_read_and_answers_the_rest(
    run, photos, tmp_path, capsys
):
    (photos / "broken.png").write_bytes(b"no")
    (tmp_path / "empty").mkdir()
    status = run_command(
        [
            "predict",
            str(photos),
            str(tmp_path / "gone.png"),
            str(tmp_path / "empty"),
            "--json",
            "--ckpt",
            str(run / "best.ckpt"),
            "--gradcam",
            str(tmp_path / "cams"),
        ]
    )
    captured = capsys.readouterr()
    document = json.loads(captured.out)
    assert status == 2
    assert [a["image"] for a in document["images"]] == [
        str(photos / n) for n in ("a.png", "deep/b.jpg", "deep/c.PNG")
    ]
    for answer in document["images"]:
        probabilities = [p["probability"] for p in answer["predictions"]]
        assert len(probabilities) == 3 and probabilities == sorted(probabilities, reverse=True)
        assert all(p["class"] == str(p["index"]) for p in answer["predictions"])
        assert Image.open(answer["gradcam"]).format == "PNG"
    assert [e["image"] for e in document["errors"]] == [
        str(photos / "broken.png"),
        str(tmp_path / "gone.png"),
        str(tmp_path / "empty"),
    ]
    lines = captured.err.splitlines()
    assert len(lines) == 3 and all(line.startswith("mindres: error: ") for line in lines)
    assert [e["error"] for e in document["errors"]] == [
        line.removeprefix("mindres: error: ") for line in lines
    ]


def test_pictures_of_the_same_name_do_not_replace_each_other(run, photos, tmp_path, capsys):
    (photos / "deep" / "a.png").write_bytes((photos / "a.png").read_bytes())
    run_command(
        [
            "predict",
            str(photos / "a.png"),
            str(photos / "deep" / "a.png"),
            "--gradcam",
            str(tmp_path / "c"),
            "--ckpt",
            str(run / "best.ckpt"),
        ]
    )
    assert sorted(p.name for p in (tmp_path / "c").iterdir()) == ["a-2.png", "a.png"]


def test_standard_input_strange_names_and_the_exit_status(run, photos, tmp_path):
    """As a shell runs it: bytes on standard input, a name with a newline, and the status 2 for a broken one."""
    odd = tmp_path / "line\nbreak é \udcff.png"
    odd.write_bytes((photos / "a.png").read_bytes())
    (photos / "broken.png").write_bytes(b"no")
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "mindres",
            "predict",
            "-",
            odd,
            photos / "broken.png",
            "--ckpt",
            run / "best.ckpt",
        ],
        input=(photos / "a.png").read_bytes(),
        capture_output=True,
        cwd=ROOT,
        env=clean_environment(),
        timeout=120,
    )
    lines = done.stdout.decode().splitlines()
    assert done.returncode == 2
    assert lines[0].startswith("-: ")
    assert lines[1].startswith(str(tmp_path) + "/line\\nbreak é \\xff.png: ")
    assert lines[0].partition(": ")[2] == lines[1].partition(": ")[2]
    assert done.stderr.decode().splitlines() == [
        f"mindres: error: {photos / 'broken.png'} cannot be read as an image: Pillow does not recognise it"
    ]


def test_image_files(photos, tmp_path):
    assert [p.name for p in image_files.image_files(photos)] == ["a.png", "b.jpg", "c.PNG"]
    with pytest.raises(UserError, match="no folder"):
        image_files.image_files(tmp_path / "gone")
    (tmp_path / "none").mkdir()
    with pytest.raises(UserError, match="holds no images"):
        image_files.image_files(tmp_path / "none")


def test_an_image_is_cropped_to_the_whole_of_its_shorter_side(tmp_path):
    """timm tests with `crop_pct` 1: the shorter side becomes the input's, and the middle is taken."""
    image = np.random.default_rng(0).integers(0, 256, (32, 80, 3), np.uint8)
    recorded = {"input_size": [32, 32], "mean": [0.0] * 3, "std": [1.0] * 3, "crop_fraction": 1.0}
    found = as_trained.preprocess(image, {**recorded, "fit": "crop"})
    middle = image[:, 24:56]
    np.testing.assert_allclose(found.transpose(1, 2, 0), middle / 255, atol=1e-6)
    np.testing.assert_array_equal(as_trained.visible(image, {**recorded, "fit": "crop"}), middle)
    assert not np.allclose(as_trained.preprocess(image, recorded), found), "stretched as before"
    for folder in ("train/a", "train/b", "val/a", "val/b"):
        (tmp_path / folder).mkdir(parents=True)
        Image.fromarray(image).save(tmp_path / folder / "0.png")
    data = open_data({**recorded, "fit": "crop"}, "folder", tmp_path, "val", batch_size=1)
    fed, _ = next(data.run().create_tuple_iterator(num_epochs=1, output_numpy=True))
    np.testing.assert_allclose(fed[0], found, atol=1e-6)
