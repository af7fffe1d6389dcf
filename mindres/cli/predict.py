"""`mindres predict`: classifies images."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path

from mindres.cli.arguments import positive_int
from mindres.cli.flags import (
    add_amp_flag,
    add_json_flag,
    add_network_flags,
    load_network,
    print_json,
)
from mindres.errors import UserError


def add_flags(parser) -> None:
    parser.add_argument(
        "images",
        nargs="+",
        metavar="IMAGE",
        help="image files, folders of them, or - for standard input",
    )
    add_network_flags(parser)
    add_amp_flag(parser)
    parser.add_argument(
        "--top_k", type=positive_int, default=3, help="classes to show per image (default: 3)"
    )
    parser.add_argument(
        "--precision",
        type=float,
        help="mark predictions as not sure unless this share of them is right, such as 0.99, by "
        "thresholds from the validation images",
    )
    parser.add_argument(
        "--none_of_these",
        action="store_true",
        help="mark images whose features are unlike those of all classes",
    )
    parser.add_argument(
        "--gradcam", metavar="DIR", help="folder for Grad-CAM pictures, one per image"
    )
    add_json_flag(parser)


def run(args) -> int:
    from mindres import files
    from mindres.evaluation import predictor

    folder = files.make_folder(args.gradcam) if args.gradcam else None
    net, metadata = load_network(args)
    classes = predictor.class_names(net, metadata)
    drawer = _GradCamPictures(net, folder, args.amp_level) if folder else None
    answers: list[dict] = []
    errors: list[str] = []
    for batch in _batches(args.images, metadata, drawer is not None, errors):
        names, inputs, visible = batch
        found = predictor.predict(
            net, inputs, metadata, args.amp_level, args.precision, args.none_of_these
        )
        for i, (name, probabilities) in enumerate(zip(names, found.probabilities)):
            answer = {"image": name, "predictions": _best(probabilities, classes, args.top_k)}
            if args.precision:
                answer["sure"] = bool(found.sure[i])
            if found.unlike is not None:
                answer["none_of_these"] = bool(found.unlike[i])
            if drawer:
                best = answer["predictions"][0]
                answer["gradcam"] = drawer.draw(inputs[i], visible[i], name, best)
            answers.append(answer)
            if not args.json:
                print(_line(answer), flush=True)
    if args.json:
        document = {"checkpoint": args.ckpt, "architecture": net.architecture}
        print_json({**document, "images": answers, "errors": errors})
    return 2 if errors else 0


def _best(probabilities, classes, count) -> list[dict]:
    """The `count` most probable classes, most probable first."""
    order = (-probabilities).argsort(kind="stable")[:count]
    return [
        {"class": classes[k], "index": int(k), "probability": float(probabilities[k])}
        for k in order
    ]


def _line(answer) -> str:
    shares = [f"{best['class']} {best['probability']:.1%}" for best in answer["predictions"]]
    unsure = "" if answer.get("sure", True) else "not sure; perhaps "
    if answer.get("none_of_these"):
        unsure = "none of these; most like "
    return f"{answer['image']}: {unsure}{', '.join(shares)}"


def _batches(sources, metadata, look, errors):
    """Yield (names, inputs, visible images or None) in batches.

    An image that cannot be read is reported and added to `errors`.
    """
    import numpy as np

    from mindres.data import as_trained, images
    from mindres.evaluation.predictor import BATCH_SIZE

    names, inputs, visible = [], [], []
    for source in _expand(sources, errors):
        try:
            file = io.BytesIO(sys.stdin.buffer.read()) if source == "-" else source
            image = images.read_image(file)
        except UserError as error:
            _complain(source, error, errors)
            continue
        names.append(images.shown(source))
        inputs.append(as_trained.preprocess(image, metadata))
        visible.append(as_trained.visible(image, metadata) if look else None)
        if len(names) == BATCH_SIZE:
            yield names, np.stack(inputs), visible
            names, inputs, visible = [], [], []
    if names:
        yield names, np.stack(inputs), visible


def _expand(sources, errors):
    """Yield each file, and each image file in each folder."""
    from mindres.data.image_files import image_files

    for source in sources:
        if source == "-" or not os.path.isdir(source):
            yield source
            continue
        try:
            yield from image_files(source)
        except UserError as error:
            _complain(source, error, errors)


def _complain(source, error, errors) -> None:
    from mindres.data.images import shown

    print(f"mindres: error: {error}", file=sys.stderr, flush=True)
    errors.append({"image": shown(source), "error": str(error)})


class _GradCamPictures:
    """Writes Grad-CAM pictures into a folder, each named after its image.

    Images with the same name get numbers, so that no picture of a run replaces another.
    """

    def __init__(self, net, folder, amp_level):
        self.net, self.folder, self.amp_level = net, folder, amp_level
        self.taken = set()

    def draw(self, normalised, image, name, best) -> str:
        from mindres.evaluation.grad_cam import grad_cam
        from mindres.pictures import drawing
        from mindres.pictures.grad_cam import about, gradcam_grid

        title = f"{drawing.short(best['class'])} {best['probability']:.1%}"
        found = grad_cam(self.net, normalised[None], amp_level=self.amp_level)
        path = self.folder / f"{self._free(name)}.png"
        figure = gradcam_grid([image], found.heat, [title], about=about(found))
        drawing.save(figure, path)
        return str(path)

    def _free(self, name) -> str:
        stem = "stdin" if name == "-" else Path(name).stem[:100]
        free, number = stem, 1
        while free in self.taken:
            number += 1
            free = f"{stem}-{number}"
        self.taken.add(free)
        return free
