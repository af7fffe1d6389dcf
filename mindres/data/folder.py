"""The user's own images: one folder for each class."""

from __future__ import annotations

import hashlib
import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from mindspore import dataset as ds
from mindspore.dataset import vision
from PIL import Image
from tqdm import tqdm

from mindres import files
from mindres.data.dataset import ImageDataset
from mindres.errors import UserError

MINDSPORE_FORMATS = ("JPEG", "PNG", "BMP")
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff")


class ImageFolder(ImageDataset):
    """The user's own images: `train/<class>/*.jpg` with `val/` or `test/` beside it, or `<class>/*.jpg` alone.

    A single tree is split by `validation_fraction` (0.2 where it is not given), each class in proportion. Without
    one of `val` and `test` the other stands in for it. Every file is opened once before training, and the result
    is kept in the user's cache, with a copy of each image that is not JPEG, PNG or BMP; a broken image is named.
    """

    # ImageNet's, which published weights were trained with.
    mean = (0.485, 0.456, 0.406)
    std = (0.229, 0.224, 0.225)
    mirrored = True
    crop_fraction = 0.875  # torchvision's and timm's: 224 of 256

    @classmethod
    def validation_split(cls, validation_fraction=0.0):
        return "val"

    def prepare(self):
        if self.path is None or not self.path.is_dir():
            raise UserError(
                f"the dataset folder {self.path} does not exist: correct --dataset_path"
            )
        self.split_folders = (self.path / "train").is_dir()
        if self.split_folders:
            order = {
                "train": ["train"],
                "val": ["val", "validation", "valid", "test"],
                "test": ["test", "val", "validation", "valid"],
            }[self.split]
            if self.split == "val" and self.validation_fraction:
                order = ["train"]
            found = [self.path / name for name in order if (self.path / name).is_dir()]
            if not found:
                raise UserError(
                    f"{self.path} has train/ but neither val/ nor test/: add one of them"
                )
            folder, names = found[0], self.path / "train"
        else:
            folder = names = self.path
            self.validation_fraction = self.validation_fraction or 0.2
        self.classes = tuple(
            sorted(p.name for p in names.iterdir() if p.is_dir() and not p.name.startswith("."))
        )
        if len(self.classes) < 2:
            raise UserError(
                f"{names} holds {len(self.classes)} class folders, and at least two are needed: "
                "expected train/<class>/*.jpg or <class>/*.jpg"
            )
        if strangers := sorted(
            {p.name for p in folder.iterdir() if p.is_dir() and not p.name.startswith(".")}
            - set(self.classes)
        ):
            raise UserError(f"{folder} has the class {strangers[0]!r}, which {names} does not have")
        self.images = [
            (path, label)
            for label, name in enumerate(self.classes)
            for path in sorted((folder / name).rglob("*"))
            if path.suffix.lower() in IMAGE_SUFFIXES
        ]
        self.classes = tuple(
            os.fsencode(name).decode("utf-8", "surrogateescape") for name in self.classes
        )
        self.images = self._checked()
        if not self.images:
            raise UserError(
                f"{folder} holds no images ({', '.join(IMAGE_SUFFIXES)}) in its class folders"
            )

    def indices(self):
        if self.split_folders:
            return super().indices() if self.validation_fraction else None
        # One tree: what is not trained on is for "val" and "test" alike.
        split, self.split = self.split, "train" if self.split == "train" else "val"
        try:
            return super().indices()
        finally:
            self.split = split

    def labels(self):
        return np.array([label for _, label in self.images])

    def files(self):
        return [path for path, _ in self.images]

    def image_names(self):
        indices = self.indices()
        return self.names if indices is None else [self.names[i] for i in indices]

    def source(self, sampler):
        names = [str(i) for i in range(len(self.classes))]
        lines = [
            json.dumps(
                {
                    "source": _in_utf8(path.absolute()),
                    "usage": "train",
                    "annotation": [{"name": names[label]}],
                }
            )
            for path, label in self.images
        ]
        manifest = self._cache_file("manifest", lines)
        with files.replacing(manifest) as part:
            part.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return ds.ManifestDataset(
            str(manifest),
            "train",
            class_indexing={n: int(n) for n in names},
            decode=True,
            sampler=sampler,
            num_parallel_workers=self.num_parallel_workers,
        )

    def augmentation(self):
        return [
            vision.RandomResizedCrop(
                self.resize, scale=(0.35, 1.0), interpolation=vision.Inter.BICUBIC
            ),
            vision.RandomHorizontalFlip(),
        ]

    def fit(self):
        if self.augment:
            return []  # RandomResizedCrop has done it
        edge = round(min(self.resize) / self.crop_fraction)
        return [vision.Resize(edge, vision.Inter.BICUBIC), vision.CenterCrop(self.resize)]

    def _cache_file(self, kind: str, content) -> Path:
        key = hashlib.sha256(repr((str(self.path.resolve()), content)).encode()).hexdigest()[:16]
        return files.cache_dir() / "datasets" / f"{key}.{kind}"

    def _checked(self) -> list[tuple[Path, int]]:
        """The images that can be decoded, each as a file that MindSpore reads; raises or counts for the others."""
        stats = [
            (str(path), path.stat().st_size, path.stat().st_mtime_ns) for path, _ in self.images
        ]
        known = self._cache_file("checked.json", stats)
        if known.exists():
            found = json.loads(known.read_text())
        else:
            with ThreadPoolExecutor() as pool:
                results = tqdm(
                    pool.map(_check, [path for path, _ in self.images]),
                    total=len(self.images),
                    desc="checking images",
                    unit="image",
                    disable=None,
                    leave=False,
                )
                found = {str(i): result for i, result in enumerate(results) if result}
            with files.replacing(known) as part:
                part.write_text(json.dumps(found))
        broken = {int(i): result["problem"] for i, result in found.items() if "problem" in result}
        if broken and not self.skip_broken:
            first = min(broken)
            more = f" (and {len(broken) - 1} more)" if len(broken) > 1 else ""
            raise UserError(
                f"{self.images[first][0]}{more} cannot be read: {broken[first]}; delete it, "
                "or leave broken images out with --skip_broken"
            )
        if broken:
            print(f"{len(broken)} broken images of {len(self.images)} are left out", flush=True)
        self.names = [str(path) for i, (path, _) in enumerate(self.images) if i not in broken]
        return [
            (self._as_png(stats[i]) if str(i) in found else path, label)
            for i, (path, label) in enumerate(self.images)
            if i not in broken
        ]

    def _as_png(self, stat) -> Path:
        """A copy of an image in the user's cache, for formats that MindSpore does not read."""
        target = self._cache_file("png", stat)
        if not target.exists():
            with Image.open(stat[0]) as image, files.replacing(target) as part:
                image.convert("RGB").save(part, "PNG")
        return target


def _in_utf8(path: Path) -> str:
    """The name of a file as MindSpore takes it, in whatever locale this process runs."""
    try:
        return os.fsencode(path).decode("utf-8")
    except UnicodeDecodeError:
        raise UserError(f"MindSpore reads no file whose name is not UTF-8: rename {path}") from None


def _check(path: Path) -> dict[str, str] | None:
    """What is wrong with an image, or its format where MindSpore's reader does not know it."""
    try:
        with Image.open(path) as image:
            # For JPEG an eighth of the size in each direction, which still reads the file to its end.
            image.draft("RGB", (1, 1))
            image.load()
            return (
                None
                if image.format in MINDSPORE_FORMATS and _decodes(path)
                else {"format": image.format}
            )
    except Exception as error:  # Pillow's decoders raise what the damaged field happens to cause
        return {"problem": f"{type(error).__name__}: {error}"}


def _decodes(path: Path) -> bool:
    """Whether MindSpore's reader takes an image that Pillow has read; it is the stricter one."""
    content = path.read_bytes()
    # It makes room for what a piece of a PNG promises, gigabytes if need be.
    if content[:4] == b"\x89PNG" and not _pieces_fit(content):
        return False
    try:
        vision.Decode()(np.frombuffer(content, np.uint8))
    except RuntimeError:
        return False
    return True


def _pieces_fit(content: bytes) -> bool:
    position = 8
    while position + 12 <= len(content):
        if content[position + 4 : position + 8] == b"IEND":
            return True
        position += 12 + int.from_bytes(content[position : position + 4], "big")
    return False
