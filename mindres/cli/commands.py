"""The commands that look at what a network says: eval, predict, plot and report. Their flags are in `flags`."""

from __future__ import annotations

import io
import json
import os
import sys
from pathlib import Path

import numpy as np

from mindres import files, pictures
from mindres.data import as_trained, images
from mindres.data.images import image_files
from mindres.devices.runtime import set_device
from mindres.errors import UserError
from mindres.evaluation import evaluator, predictor, trained_data
from mindres.evaluation.grad_cam import grad_cam
from mindres.evaluation.predictor import class_names
from mindres.models.checkpoints import load_model
from mindres.pictures import drawing
from mindres.report.writer import write_report
from mindres.training.trainer import set_seed


def load(args):
    """The network of --ckpt on its device, and its metadata."""
    set_device(args.device_target)
    return load_model(args.ckpt, **({"arch": args.arch} if args.arch else {}))


def data_of(args, metadata, split="test", **options):
    """The dataset that the flags ask for; training images as they are, unless `options` augments them."""
    split = args.split or split
    if split == "train":
        options = {"augment": False, "shuffle": False, **options}
    return trained_data.open_data(
        metadata,
        args.dataset,
        args.dataset_path,
        split,
        validation_fraction=args.validation_fraction,
        **options,
    )


def evaluate(args) -> None:
    folder = files.make_folder(args.plots) if args.plots else None
    net, metadata = load(args)
    resize = {"resize": args.resize} if args.resize else {}
    data = data_of(args, metadata, batch_size=args.batch_size, **resize)
    result = evaluator.evaluate(net, data, tta=bool(metadata.tta) if args.tta is None else args.tta)
    if args.json:
        print(
            json.dumps(
                {
                    "checkpoint": args.ckpt,
                    "architecture": net.architecture,
                    "dataset": data.name.lower(),
                    "split": data.split,
                    **result.to_json(),
                },
                indent=2,
            )
        )
    else:
        print(f"{net.architecture['arch']} on the {data.split} split of {data.name}")
        print(result)
    if folder:
        drawing.save(pictures.confusion(result), folder / "confusion.png")
        drawing.save(pictures.mistakes(result, data), folder / "mistakes.png")
        drawing.save(pictures.predictions(net, pictures.samples(data)), folder / "predictions.png")


def predict(args) -> int:
    folder = files.make_folder(args.gradcam) if args.gradcam else None
    net, metadata = load(args)
    classes, drawer = class_names(net, metadata), _Pictures(net, folder) if folder else None
    answers, errors = [], []
    for names, inputs, looked_at in _batches(args.images, metadata, drawer is not None, errors):
        for i, (name, probabilities) in enumerate(
            zip(names, predictor.predict(net, inputs).probabilities)
        ):
            best = (-probabilities).argsort(kind="stable")[: args.top_k]
            answer = {
                "image": name,
                "predictions": [
                    {"class": classes[k], "index": int(k), "probability": float(probabilities[k])}
                    for k in best
                ],
            }
            if drawer:
                title = f"{drawing.short(classes[best[0]])} {probabilities[best[0]]:.1%}"
                answer["gradcam"] = drawer.draw(inputs[i], looked_at[i], name, title)
            answers.append(answer)
            if not args.json:
                print(
                    f"{name}: "
                    + ", ".join(
                        f"{p['class']} {p['probability']:.1%}" for p in answer["predictions"]
                    ),
                    flush=True,
                )
    if args.json:
        print(
            json.dumps(
                {
                    "checkpoint": args.ckpt,
                    "architecture": net.architecture,
                    "images": answers,
                    "errors": errors,
                },
                indent=2,
            )
        )
    return 2 if errors else 0


def _batches(sources, metadata, look, errors):
    """(names, inputs, images to `look` at), a batch at a time; what cannot be read is said and noted in `errors`."""
    names, inputs, looked_at = [], [], []
    for source in _expand(sources, errors):
        try:
            image = images.read_image(
                io.BytesIO(sys.stdin.buffer.read()) if source == "-" else source
            )
        except UserError as error:
            _complain(source, error, errors)
            continue
        names.append(images.shown(source))
        inputs.append(as_trained.preprocess(image, metadata))
        looked_at.append(as_trained.visible(image, metadata) if look else None)
        if len(names) == predictor.BATCH_SIZE:
            yield names, np.stack(inputs), looked_at
            names, inputs, looked_at = [], [], []
    if names:
        yield names, np.stack(inputs), looked_at


def _expand(sources, errors):
    for source in sources:
        if source != "-" and os.path.isdir(source):
            try:
                yield from image_files(source)
            except UserError as error:
                _complain(source, error, errors)
        else:
            yield source


def _complain(source, error, errors):
    print(f"mindres: error: {error}", file=sys.stderr, flush=True)
    errors.append({"image": images.shown(source), "error": str(error)})


class _Pictures:
    """Grad-CAM pictures in a folder, each named after its image; none takes the place of another of this run."""

    def __init__(self, net, folder):
        self.net, self.folder, self.taken = net, folder, set()

    def draw(self, normalised, image, name, title) -> str:
        stem = "stdin" if name == "-" else Path(name).stem[:100]
        number, free = 1, stem
        while free in self.taken:
            number += 1
            free = f"{stem}-{number}"
        self.taken.add(free)
        path = self.folder / f"{free}.png"
        drawing.save(
            drawing.gradcam_grid([image], grad_cam(self.net, normalised[None]).heat, [title]), path
        )
        return str(path)


def plot(args) -> None:
    out = args.out or f"{args.what}.png"
    drawing.format_of(out)
    if args.what == "curves" and not args.runs:
        raise UserError("mindres plot curves needs the folder of a training, or of several")
    if args.what != "curves" and args.runs:
        raise UserError(
            f"mindres plot {args.what} takes no {args.runs[0]}: name weights with --ckpt, images with "
            "--dataset or --images"
        )
    if args.what == "curves":
        figure = pictures.curves(args.runs)
    else:
        set_seed(args.seed)
        figure = _of_data(args) if args.what in ("dataset", "augmentation") else _of_network(args)
    drawing.save(figure, out)
    print(out)


def _of_data(args):
    args.dataset = args.dataset or "digits"
    if args.what == "dataset":
        return pictures.dataset(data_of(args, {}, "train"), args.count or 24)
    if args.split not in (None, "train"):
        raise UserError(f"only training images are augmented, not those of {args.split}")
    return pictures.augmentation(
        data_of(args, {}, "train", augment=True, auto_augment=args.auto_augment), args.count or 4
    )


def _of_network(args):
    if not args.ckpt:
        raise UserError(f"mindres plot {args.what} needs a network: name its weights with --ckpt")
    net, metadata = load(args)
    count = args.count or 24
    if args.what == "filters":
        return pictures.filters(net)
    if args.what == "confusion":
        return pictures.confusion(evaluator.evaluate(net, data_of(args, metadata)))
    if args.what == "mistakes":
        data = data_of(args, metadata)
        return pictures.mistakes(evaluator.evaluate(net, data), data, count)
    if args.images:
        some = pictures.samples_from_files(
            image_files(args.images)[:count], metadata, class_names(net, metadata)
        )
    else:
        some = pictures.samples(data_of(args, metadata), count)
    if args.what == "predictions":
        return pictures.predictions(net, some)
    return (
        pictures.gradcam(net, some, args.stage)
        if args.what == "gradcam"
        else pictures.features(net, some, args.stage)
    )


def report(args) -> None:
    set_device(args.device_target)
    print(
        write_report(args.run_dir, args.out, args.ckpt, args.dataset, args.dataset_path, args.split)
    )
