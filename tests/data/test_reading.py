"""Training and prediction see the same pixels of an image file, whatever its mode, turn and format."""

import io
import os

import numpy as np
import pytest
from PIL import Image, ImageOps

from mindres.data import images
from mindres.data.folder import ImageFolder
from mindres.data.images import is_plain, read_image
from mindres.data.photo import Photo
from mindres.errors import UserError

HEIGHT, WIDTH = 24, 40
FORMATS = {
    "JPEG": ["RGB", "L", "CMYK"],
    "PNG": ["RGB", "L", "1", "P", "P with transparency", "LA", "RGBA", "I;16"],
    "BMP": ["RGB", "L", "1", "P"],
    "GIF": ["L", "P", "P with transparency"],
    "WEBP": ["RGB", "RGBA"],
    "TIFF": ["RGB", "L", "1", "P", "LA", "RGBA", "I;16", "CMYK"],
}
CASES = [(kind, mode) for kind, modes in FORMATS.items() for mode in modes]


def smooth(seed=0):
    """A picture of soft colours, so that JPEG keeps it nearly as it is."""
    random = np.random.default_rng(seed)
    small = Image.fromarray(random.integers(0, 256, (3, 5, 3), np.uint8))
    return small.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)


def in_mode(image, mode):
    if mode == "P with transparency":
        image = image.quantize(16)
        image.info["transparency"] = 3
        return image
    if mode == "I;16":
        return Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)
    if mode in ("LA", "RGBA"):
        image = image.convert(mode)
        image.putalpha(Image.linear_gradient("L").resize(image.size))
        return image
    return image.convert(mode)


def write(path, kind, mode, orientation=1, seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = in_mode(smooth(seed), mode)
    options = {"exif": exif} if orientation != 1 else {}
    if "transparency" in image.info:
        options["transparency"] = image.info["transparency"]
    if kind == "WEBP":
        options["lossless"] = True
    image.save(path, kind, **options)


def expected(path):
    """What Pillow alone makes of a file: turned, over white, RGB."""
    with Image.open(path) as image:
        image = ImageOps.exif_transpose(image)
        if image.mode in ("I;16", "I"):  # Pillow 10 calls a PNG's 16 bits "I"
            grey = np.rint(np.asarray(image) / 257).astype(np.uint8)
            return np.stack([grey] * 3, axis=2)
        if "transparency" in image.info or image.mode in ("LA", "RGBA", "PA"):
            alpha = image.convert("RGBA")
            white = Image.new("RGBA", alpha.size, (255, 255, 255, 255))
            return np.asarray(Image.alpha_composite(white, alpha).convert("RGB"))
        return np.asarray(image.convert("RGB"))


def fed(folder, split="train"):
    """The images of a folder as training is fed them, as they are in the files, in the files' order."""
    data = ImageFolder(
        folder,
        split,
        batch_size=1,
        augment=False,
        shuffle=False,
        transform=[lambda image: image],
    )
    batches = data.run().create_tuple_iterator(num_epochs=1, output_numpy=True)
    return dict(zip(data.image_names(), [batch[0] for batch, _ in batches]))


def test_every_mode_and_format(tmp_path):
    for i, (kind, mode) in enumerate(CASES):
        name = f"{kind}-{mode.replace(';', '')}.{kind.lower()}".replace("tiff", "tif")
        write(tmp_path / "train" / "ab"[i % 2] / name, kind, mode, seed=i)
        write(tmp_path / "val" / "ab"[i % 2] / name, kind, mode, seed=i)
    found = fed(tmp_path)
    assert len(found) == len(CASES)
    for path, image in found.items():
        wanted = expected(path)
        np.testing.assert_array_equal(read_image(path), wanted, err_msg=path)
        np.testing.assert_array_equal(image, wanted, err_msg=path)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_every_orientation(tmp_path, kind):
    suffix = {"JPEG": "jpg", "PNG": "png", "WEBP": "webp", "TIFF": "tif"}[kind]
    for orientation in range(1, 10):  # 9 is none
        for split in ("train", "val"):
            path = tmp_path / split / "ab"[orientation % 2] / f"{orientation}.{suffix}"
            write(path, kind, "RGB", orientation)
    found = fed(tmp_path)
    for path, image in found.items():
        wanted = expected(path)
        assert image.shape == wanted.shape == read_image(path).shape
        np.testing.assert_array_equal(image, wanted, err_msg=path)
    assert len({image.tobytes() for image in found.values()}) >= 8


@pytest.mark.parametrize("kind", ["noise", "grey", "one pixel", "progressive", "cut", "padded"])
def test_opencv_and_pillow_read_the_same_pixels(tmp_path, kind, monkeypatch):
    path = tmp_path / "photo.jpg"
    pixels = np.random.default_rng(1).integers(0, 256, (61, 83, 3), np.uint8)
    image = Image.fromarray(pixels[:1, :1] if kind == "one pixel" else pixels)
    image.convert("L" if kind == "grey" else "RGB").save(path, progressive=kind == "progressive")
    if kind == "padded":
        path.write_bytes(path.read_bytes() + bytes(7))
    if kind == "cut":
        path.write_bytes(path.read_bytes()[:-900])
        with pytest.raises(UserError, match=r"photo\.jpg cannot be read as an image: .*truncated"):
            Photo(os.fsencode(path)).pixels()
        return
    wanted = read_image(path)
    if kind != "padded":  # all of it is OpenCV's
        monkeypatch.setattr(images, "read_image", None)
    np.testing.assert_array_equal(Photo(os.fsencode(path)).pixels(), wanted)


def test_a_large_jpeg_is_read_smaller_and_looks_the_same(tmp_path):
    path = tmp_path / "photo.jpg"
    smooth().resize((800, 480), Image.Resampling.BICUBIC).save(path)
    photo = Photo(os.fsencode(path))
    assert [photo.scale(h, 300, (40, 40)) for h in (39, 80, 200, 400)] == [1, 2, 4, 4]
    for scale in (2, 4, 8):
        wanted = Image.open(path).resize((800 // scale, 480 // scale), Image.Resampling.BOX)
        np.testing.assert_allclose(photo.pixels(scale).astype(int), np.asarray(wanted), atol=6)


def test_a_second_picture_in_a_telephones_jpeg_changes_nothing(tmp_path):
    path = tmp_path / "photo.jpg"
    smooth().save(path, "MPO", save_all=True, append_images=[smooth(1)])
    with Image.open(path) as image:
        assert image.format == "MPO" and is_plain(image)


def test_damaged_metadata_leaves_an_image_as_it_is(tmp_path):
    path = tmp_path / "photo.jpg"
    write(path, "JPEG", "RGB", orientation=6)
    content = path.read_bytes()
    path.write_bytes(content.replace(b"Exif\0\0MM\0*", b"Exif\0\0xx\0*"))
    assert path.read_bytes() != content
    assert read_image(path).shape == (HEIGHT, WIDTH, 3)


def test_an_open_file_is_read_like_a_path(tmp_path):
    write(tmp_path / "a.png", "PNG", "RGBA")
    content = io.BytesIO((tmp_path / "a.png").read_bytes())
    np.testing.assert_array_equal(read_image(content), read_image(tmp_path / "a.png"))
