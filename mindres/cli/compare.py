"""`mindres compare`: compares two training runs and tests whether they differ."""

from __future__ import annotations

from pathlib import Path

from mindres.cli.flags import (
    SPLITS,
    add_device_flag,
    add_json_flag,
    add_skip_broken_flag,
    add_workers_flag,
    print_json,
)
from mindres.data import DATASETS

SHOWN = 10  # images with different predictions that are listed without --json


def add_flags(parser) -> None:
    add = parser.add_argument
    run = "the --ckpt_dir of a training run, or a checkpoint"
    add("first", metavar="RUN", help=run)
    add("second", metavar="RUN", help=run)
    add("--dataset", choices=DATASETS, help="data set (default: the first run's)")
    add("--dataset_path", help="folder of the data set (default: the first run's)")
    add("--split", choices=SPLITS, help="images to compare on (default: test)")
    add(
        "--validation_fraction",
        type=float,
        help="fraction of the training images in the split val (default: each run's)",
    )
    add_skip_broken_flag(parser)
    add_workers_flag(parser)
    add("--plots", metavar="DIR", help="folder for a picture of the images on which they differ")
    add_device_flag(parser)
    add_json_flag(parser)


def run(args) -> None:
    from mindres import files
    from mindres.evaluation.comparison import compare

    folder = files.make_folder(args.plots) if args.plots else None
    paths = [_checkpoint(name) for name in (args.first, args.second)]
    first, data, about = _evaluated(args, paths[0])
    second, _, theirs = _evaluated(args, paths[1])
    found = compare(first, second)
    if args.json:
        print_json({"checkpoints": paths, **found.to_json()})
    else:
        print(f"first   {paths[0]}, {about}\nsecond  {paths[1]}, {theirs}\n\n{found}")
        _print_differing(found)
    if folder:
        from mindres import pictures
        from mindres.pictures import drawing

        out = folder / "differing.png"
        drawing.save(pictures.differing(found, data), out)
        if not args.json:
            print(f"\n{out}")


def _checkpoint(name: str) -> str:
    """The checkpoint that `name` means: itself, or the best one of a run's folder."""
    from mindres.runs.folder import RunFolder

    return str(RunFolder(name).best) if Path(name).is_dir() else name


def _evaluated(args, path):
    """The evaluation of a checkpoint, its images, and a description of both."""
    from mindres.cli.flags import load_network, open_images
    from mindres.data.build import name_of
    from mindres.evaluation.evaluator import evaluate
    from mindres.runs import images

    args.ckpt = path
    net, metadata = load_network(args)
    data = open_images(args, metadata)
    # The second checkpoint is evaluated on the same images.
    args.dataset = args.dataset or name_of(data)
    args.dataset_path = args.dataset_path or (data.path and str(data.path))
    about = images.described(data, images.use_of(data, path, metadata))
    result = evaluate(net, data, tta=bool(metadata.tta))
    return result, data, f"{net.architecture['arch']} on the {about}"


def _print_differing(found) -> None:
    rows = found.differing()
    if not rows:
        return
    print(f"\nimages on which they differ, {min(SHOWN, len(rows))} of {len(rows):,}")
    for row in rows[:SHOWN]:
        name = row["image"] or f"image {row['position']}"
        print(f"  {name}: {row['true']}; first {row['first']}, second {row['second']}")
