"""Attack mindres on every side: print each promise, how often it was tried, and whether it was kept.

    python tests/faults                     everything, under ten minutes on two cores
    python tests/faults --only readers      the rows whose module or name has this text
    python tests/faults --scale 10          ten times as many tries of what is tried at random

Each module beside this one has a table `FAULTS` of `Fault` rows.
"""

from __future__ import annotations

import argparse
import importlib
import random
import sys
import tempfile
import time
import traceback
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parents[1])]

from fault import Broken, Try  # noqa: E402

MODULES = ("signals", "images", "places", "readers", "archives", "servers", "web", "trainings")


def run_module(module: str, only: str, scale: float, seed: int) -> list[tuple[str, bool]]:
    """For each row of a module its line of the table, and whether the promise was kept."""
    rows = []
    for fault in importlib.import_module(module).FAULTS:
        if only not in module and only not in fault.name:
            continue
        with tempfile.TemporaryDirectory(prefix="mindres-fault-") as folder:
            attempt = Try(Path(folder), scale, random.Random(f"{seed} {fault.name}"))
            started, kept = time.monotonic(), "yes"
            try:
                fault.check(attempt)
            except Broken as error:
                kept = f"NO: {error}"
            except Exception:
                kept = "NO: the check itself failed"
                traceback.print_exc()
        rows.append(
            (f"| {fault.name} | {attempt.tries:,} | {fault.promise} | {kept} |", kept == "yes")
        )
        print(f"{rows[-1][0]} {time.monotonic() - started:.1f} s", flush=True)
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        prog="python tests/faults",
    )
    parser.add_argument(
        "--only", default="", metavar="TEXT", help="rows whose module or name has this text"
    )
    parser.add_argument(
        "--scale", type=float, default=1.0, help="times the usual number of tries (default: 1)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of everything random (default: 0)")
    parser.add_argument("--jobs", type=int, default=2, help="modules at once (default: 2)")
    parser.add_argument("--out", type=Path, help="write the table there too, as Markdown")
    args = parser.parse_args()
    started = time.monotonic()
    with ProcessPoolExecutor(args.jobs) as pool:
        jobs = [
            pool.submit(run_module, module, args.only, args.scale, args.seed) for module in MODULES
        ]
        rows = [row for job in jobs for row in job.result()]
    table = "\n".join(
        [
            "| fault | tries | promise | kept |",
            "| --- | --- | --- | --- |",
            *(line for line, _ in rows),
        ]
    )
    broken = sum(not kept for _, kept in rows)
    print(
        f"\n{table}\n\n{len(rows)} faults, {broken} promises broken, {time.monotonic() - started:.0f} s"
    )
    if args.out:
        args.out.write_text(table + "\n", encoding="utf-8")
    return int(bool(broken) or not rows)


if __name__ == "__main__":
    sys.exit(main())
