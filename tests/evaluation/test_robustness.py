"""Accuracy on corrupted images: what each corruption does, and the table and the curve of it."""

import io
import json

import numpy as np
import pytest
from a_run import network, write_run
from PIL import Image
from scipy.ndimage import gaussian_filter

import mindres
from mindres import pictures
from mindres.cli.program import run_command
from mindres.data.digits import Digits
from mindres.evaluation import corruptions
from mindres.evaluation.corruptions import CORRUPTIONS, STRENGTHS, corrupt


def images(side=32, channels=3):
    noise = np.random.default_rng(0).normal(0.5, 0.6, (4, channels, side, side))
    return np.clip(gaussian_filter(noise, (0, 0, 1.5, 1.5)), 0, 1).astype(np.float32)


def corrupted(name, strength, given):
    return corrupt(given, name, strength, np.random.default_rng(1))


@pytest.mark.parametrize("side, channels", [(32, 3), (32, 1), (96, 3)])
@pytest.mark.parametrize("name", CORRUPTIONS)
def test_more_strength_is_further_from_the_image(name, side, channels):
    given = images(side, channels)
    found = [corrupted(name, k, given) for k in range(len(STRENGTHS))]
    apart = [np.sqrt(((each - given) ** 2).mean()) for each in found]
    assert 0 < apart[0] < apart[1] < apart[2] < 0.6
    for each in found:
        assert each.shape == given.shape and each.dtype == np.float32
        np.testing.assert_array_equal(np.rint(each * 255) / 255, each)
        assert each.min() >= 0 and each.max() <= 1
    np.testing.assert_array_equal(corrupted(name, 1, given), found[1])


def test_noise_has_the_deviation_that_it_should():
    grey = np.full((4, 3, 64, 64), 0.5, np.float32)
    assert corrupted("gaussian noise", 1, grey).std() == pytest.approx(0.08, rel=0.03)
    assert corrupted("shot noise", 1, grey).std() == pytest.approx((0.5 / 100) ** 0.5, rel=0.03)
    salt = corrupted("impulse noise", 2, grey)
    assert (salt == 1).mean() == pytest.approx((salt == 0).mean(), rel=0.2)
    assert np.isin(salt, (0, 1)).mean() == pytest.approx(0.07, rel=0.1)


def test_brightness_is_the_value_of_hsv():
    from matplotlib.colors import hsv_to_rgb, rgb_to_hsv

    image = images()[0].transpose(1, 2, 0).astype(np.float64)
    hsv = rgb_to_hsv(image)
    hsv[..., 2] = np.minimum(hsv[..., 2] + 0.3, 1)
    np.testing.assert_allclose(corruptions.brightness(image, 0.3, None), hsv_to_rgb(hsv), atol=1e-9)


def test_blur_contrast_and_pixels():
    image = images()[0].transpose(1, 2, 0)
    blurred = corruptions.gaussian_blur(image, 1.0, None)
    own = gaussian_filter(image[..., 1], 1.0, mode="nearest")
    np.testing.assert_allclose(blurred[..., 1], own, atol=1e-6)
    pale = corruptions.contrast(image, 0.4, None)
    np.testing.assert_allclose(pale.mean((0, 1)), image.mean((0, 1)), atol=1e-6)
    np.testing.assert_allclose(pale.std((0, 1)), 0.4 * image.std((0, 1)), rtol=1e-5)
    coarse = corruptions.pixelate(image, 0.25, None)
    assert len(np.unique((coarse * 255).round().reshape(-1, 3), axis=0)) <= 64


# All five severities of make_cifar_c.py and make_imagenet_c.py, github.com/hendrycks/robustness.
SEVERITIES = {
    "gaussian noise": ((0.04, 0.06, 0.08, 0.09, 0.10), (0.08, 0.12, 0.18, 0.26, 0.38)),
    "shot noise": ((500, 250, 100, 75, 50), (60, 25, 12, 5, 3)),
    "impulse noise": ((0.01, 0.02, 0.03, 0.05, 0.07), (0.03, 0.06, 0.09, 0.17, 0.27)),
    "gaussian blur": ((0.4, 0.6, 0.7, 0.8, 1), (1, 2, 3, 4, 6)),
    "brightness": ((0.05, 0.1, 0.15, 0.2, 0.3), (0.1, 0.2, 0.3, 0.4, 0.5)),
    "contrast": ((0.75, 0.5, 0.4, 0.3, 0.15), (0.4, 0.3, 0.2, 0.1, 0.05)),
    "jpeg": ((80, 65, 58, 50, 40), (25, 18, 15, 10, 7)),
    "pixelate": ((0.95, 0.9, 0.85, 0.75, 0.65), (0.6, 0.5, 0.4, 0.3, 0.25)),
}


def test_strengths_are_those_of_the_published_corrupted_images():
    own = {name: (row.small, row.large) for name, row in CORRUPTIONS.items()}
    assert own == {name: (small[::2], large[::2]) for name, (small, large) in SEVERITIES.items()}


@pytest.mark.parametrize("strength", range(len(STRENGTHS)))
def test_jpeg_and_pixelate_do_to_an_image_what_pillow_does(strength):
    image = np.rint(images(channels=3)[0].transpose(1, 2, 0) * 255).astype(np.uint8)
    given = (image / 255).transpose(2, 0, 1)[None]
    picture = Image.fromarray(image)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=CORRUPTIONS["jpeg"].small[strength])
    side = int(32 * CORRUPTIONS["pixelate"].small[strength])
    coarse = picture.resize((side, side), Image.Resampling.BOX)
    expected = {
        "jpeg": Image.open(buffer),
        "pixelate": coarse.resize((32, 32), Image.Resampling.BOX),
    }
    for name, picture in expected.items():
        found = corrupted(name, strength, given)[0].transpose(1, 2, 0)
        np.testing.assert_array_equal(np.rint(found * 255), np.asarray(picture))


def test_command_writes_a_table_and_a_curve(tmp_path, capsys, monkeypatch):
    two = {name: CORRUPTIONS[name] for name in ("contrast", "jpeg")}
    monkeypatch.setattr("mindres.evaluation.robustness.CORRUPTIONS", two)
    run = write_run(tmp_path, network(), Digits(split="test"))
    flags = ["--ckpt", str(run / "best.ckpt"), "--corruptions", "--plots", str(tmp_path / "plots")]
    run_command(["eval", *flags])
    shown = capsys.readouterr().out
    assert "2 corruptions of 360 images" in shown and "jpeg" in shown and "strong" in shown
    assert Image.open(tmp_path / "plots" / "corruptions.png").width > 400
    run_command(["eval", *flags[:3], "--json"])
    found = json.loads(capsys.readouterr().out)
    robust = found["robustness"]
    assert robust["clean"] == pytest.approx(found["accuracy"])
    assert set(robust["corrupted"]) == set(two) and len(robust["corrupted"]["jpeg"]) == 3
    assert robust["mean"] == pytest.approx(np.mean([*robust["corrupted"].values()]))


def test_a_row_is_a_corruption_of_what_the_network_sees():
    """One that turns every image black: the answers are those to black images, in table and picture."""
    net, data = network(), Digits(split="test", batch_size=64)
    row = corruptions.Corruption(lambda image, much, rng: 0 * image, (1,) * 3, (1,) * 3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(CORRUPTIONS, "black", row)
        patch.setattr("mindres.evaluation.robustness.CORRUPTIONS", {"black": row})
        found = mindres.robustness(net, data)
    mean, std = (np.array(each, np.float32)[:, None, None] for each in (data.mean, data.std))
    says = mindres.predict(net, ((np.zeros((1, 3, 32, 32), np.float32) - mean) / std), {})
    share = np.mean(data.split_labels() == says.classes[0])
    assert found.corrupted["black"] == pytest.approx([share] * 3)
    assert str(found).splitlines()[-1].startswith("black")
    [entry] = pictures.corruptions(found).axes[0].get_legend().get_texts()
    assert entry.get_text() == "black"
