"""Run classifiers on UCR data sets and write one result file a run.

python -m benchmarks.run.classifiers --data-dir FOLDER --classifiers V2S MultiRocketHydra --resamples 0 1 2

Files go to --runs, which git ignores; `benchmarks.run.collect` puts them into the tables. A run whose file is there, or
which stands in the table, is skipped, and a file is written whole or not at all, so the command can be killed and
repeated. Each run has a process of its own, with a set number of threads; --backend loky or dask has lasting workers
instead, on this machine or (--scheduler) on a cluster: docs/cluster.md. --cv 5 predicts the training split by
cross-validation, and reads no test split; defaults are chosen from these files. --per-class 5 fits on five random
training cases of each class of the default split, drawn by the number of the resample; with --split TRAIN the rest of
the training split is scored, and no test split read.
"""

import argparse
import itertools
import re
from pathlib import Path

from benchmarks.paths import RESULTS, RUNS
from benchmarks.run.backends import dask_workers, fresh_processes, loky_workers
from benchmarks.run.data import find_datasets
from benchmarks.run.one import run
from benchmarks.run.results import Run
from benchmarks.run.rivals import CLASSIFIERS
from benchmarks.run.tables import known_runs


def number_range(text):
    """Return the numbers that ``"3"`` or ``"0..29"`` stands for, the last one included."""
    match = re.fullmatch(r"(\d+)(?:\.\.(\d+))?", text)
    first, last = (int(number) for number in (match[1], match[2] or match[1])) if match else (1, 0)
    if first > last:
        raise argparse.ArgumentTypeError(f"{text!r} is neither a number nor a range such as 0..29")
    return range(first, last + 1)


def parse_arguments(arguments=None):
    """Return the parsed command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=Path, required=True, help="folder with <Name>/<Name>_TRAIN.ts and _TEST.ts")
    parser.add_argument("--datasets", nargs="+", help="default: all in the folder, the smallest first")
    parser.add_argument("--classifiers", nargs="+", default=["V2S"], choices=list(CLASSIFIERS))
    parser.add_argument(
        "--resamples",
        nargs="+",
        type=number_range,
        default=[range(1)],
        help="numbers and ranges (0..29); 0: default split",
    )
    parser.add_argument(
        "--seeds", nargs="+", type=int, default=[0], help="of the classifier; 1 is written as NAME-seed1"
    )
    parser.add_argument(
        "--cv", type=int, default=0, metavar="FOLDS", help="cross-validate on the training split instead"
    )
    parser.add_argument("--per-class", type=int, default=0, metavar="N", help="few labels")
    parser.add_argument("--split", choices=["TEST", "TRAIN"], help="what --per-class scores; default: TEST")
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time; leave it at 1 where times count")
    parser.add_argument(
        "--backend",
        choices=["processes", "loky", "dask"],
        default="processes",
        help="a fresh process a run, or workers",
    )
    parser.add_argument("--scheduler", metavar="ADDRESS", help="of a dask cluster; default: one of --jobs workers here")
    parser.add_argument("--threads", type=int, default=1, help="of a run")
    parser.add_argument("--setting", help="table that the runs are for; default: default, few_labels with --per-class")
    parser.add_argument("--runs", type=Path, default=RUNS, help="folder of the files")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the tables")
    parser.add_argument("--force", action="store_true", help="also make runs that stand in the table")
    options = parser.parse_args(arguments)
    if options.scheduler and options.backend != "dask":
        parser.error("--scheduler needs --backend dask")
    if options.split and not options.per_class:
        parser.error("--split needs --per-class; --cv reads the training split alone")
    options.split = "TRAIN" if options.cv else options.split or "TEST"
    options.setting = options.setting or ("few_labels" if options.per_class else "default")
    options.resamples = list(dict.fromkeys(itertools.chain.from_iterable(options.resamples)))
    # Workers need not share our working directory.
    options.data_dir, options.runs = options.data_dir.resolve(), options.runs.resolve()
    return options


def make_plan(options):
    """Return the missing runs: a dict of path to classifier, data set, resample and seed."""
    datasets = options.datasets or find_datasets(options.data_dir)
    known = set() if options.force else known_runs(options.results, options.setting)
    plan = {}
    # Classifiers innermost, so that rivals are timed side by side.
    for seed, resample, dataset, name in itertools.product(
        options.seeds, [0] if options.cv else options.resamples, datasets, options.classifiers
    ):
        wanted = Run(name, seed, options.per_class, dataset, resample, options.split)
        path = wanted.path(options.runs / options.setting)
        if wanted not in known and not path.exists():
            plan[path] = (name, dataset, resample, seed)
    return plan


def make_runs(plan, options):
    """Make the runs of a plan; yield the path of each with its result or exception as it ends."""
    tasks = {path: (path, *what, options) for path, what in plan.items()}
    if options.backend == "loky":
        return loky_workers(run, tasks, options.jobs)
    if options.backend == "dask":
        return dask_workers(run, tasks, options.jobs, options.scheduler)
    # The many runs of few labels share their process.
    return fresh_processes(run, tasks, options.jobs, None if options.per_class else 1)


def main(arguments=None):
    """Run what is missing, with progress; return the number of runs that failed."""
    options = parse_arguments(arguments)
    plan = make_plan(options)
    failed = 0
    for done, (path, result) in enumerate(make_runs(plan, options) if plan else (), start=1):
        name, dataset, resample, seed = plan[path]
        head = f"[{done}/{len(plan)}] {name} {dataset} resample {resample} seed {seed}:"
        if isinstance(result, Exception):
            failed += 1
            print(head, f"FAILED {type(result).__name__}: {result}", flush=True)
            continue
        if not path.exists():  # the worker's file system is another
            result.write(path)
        print(
            f"{head} accuracy {result.accuracy:.4f}  log loss {result.log_loss:.3f}  fit {result.fit_time:.1f} s  "
            f"predict {result.predict_time:.1f} s",
            flush=True,
        )
    return failed


if __name__ == "__main__":
    raise SystemExit(main() > 0)
