"""`mindres report`: writes an HTML report of a training run."""

from __future__ import annotations

from mindres.cli.flags import SPLITS, add_device_flag, add_skip_broken_flag
from mindres.data import DATASETS


def add_flags(parser) -> None:
    add = parser.add_argument
    add("run_dir", metavar="RUN_DIR", help="the --ckpt_dir of a training run")
    add("--out", metavar="FILE", help="file to write (default: report.html in RUN_DIR)")
    add("--ckpt", metavar="FILE", help="weights to evaluate (default: best.ckpt in RUN_DIR)")
    add(
        "--dataset",
        choices=DATASETS,
        help="data set (default: the one that the checkpoint was trained on)",
    )
    add("--dataset_path", help="folder of the data set (default: the run's)")
    add(
        "--split",
        default="test",
        choices=SPLITS,
        help="split to evaluate (default: test)",
    )
    add_skip_broken_flag(parser)
    add_device_flag(parser)


def run(args) -> None:
    from mindres.devices.set_device import set_device
    from mindres.report.writer import write_report

    set_device(args.device_target)
    report = write_report(
        args.run_dir,
        args.out,
        args.ckpt,
        args.dataset,
        args.dataset_path,
        args.split,
        skip_broken=args.skip_broken,
    )
    print(report)
