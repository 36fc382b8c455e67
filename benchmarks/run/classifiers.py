"""Run classifiers on UCR data sets and write one result file a run.

python benchmarks/run.py --data-dir FOLDER --classifiers V2S MultiRocketHydra --resamples 0 1 2

A run whose file is there is skipped, and a file is written whole or not at all, so the command can be killed and
repeated. Each run has a process of its own, with a set number of threads; --backend loky or dask has lasting workers
instead, on this machine or (--scheduler) on a cluster: docs/cluster.md. The classifier is given the training split to
fit and the test series to predict, never the test labels. --cv 5 predicts the training split by cross-validation, and
reads no test split; defaults are chosen from these files. --per-class 5 fits on five random training cases of each
class of the default split, drawn by the number of the resample.
"""

import argparse
import itertools
import re
import resource
import sys
import time
from pathlib import Path

import numpy as np
from aeon.benchmarking.resampling import stratified_resample_data
from aeon.datasets import load_classification
from aeon.transformations.collection.unequal_length import Padder
from backends import dask_workers, fresh_processes, loky_workers
from results_file import Result, result_path
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline

ROOT = Path(__file__).parent


def v2s(seed):
    """Return our default."""
    from v2s_sklearn import V2SClassifier

    return V2SClassifier(random_state=seed)


def v2s_fast(seed):
    """Return our cheap preset."""
    from v2s_sklearn import V2SClassifier

    return V2SClassifier.fast(random_state=seed)


def v2s_paper(seed):
    """Return the published method."""
    from v2s_sklearn import V2SClassifier

    return V2SClassifier.icml2021(random_state=seed)


def mini_rocket(seed):
    """Return aeon's MiniRocket with its ridge."""
    from aeon.classification.convolution_based import MiniRocketClassifier

    return MiniRocketClassifier(random_state=seed)


def mini_rocket_calibrated(seed):
    """Return aeon's MiniRocket with its ridge calibrated by scikit-learn."""
    from aeon.classification.convolution_based import MiniRocketClassifier
    from calibrated_ridge import CalibratedRidge

    return MiniRocketClassifier(estimator=CalibratedRidge(), random_state=seed)


def multi_rocket_hydra(seed):
    """Return aeon's MultiRocket-Hydra."""
    from aeon.classification.convolution_based import MultiRocketHydraClassifier

    return MultiRocketHydraClassifier(random_state=seed)


def hydra(seed):
    """Return aeon's Hydra."""
    from aeon.classification.convolution_based import HydraClassifier

    return HydraClassifier(random_state=seed)


def quant(seed):
    """Return aeon's QUANT."""
    from aeon.classification.interval_based import QUANTClassifier

    return QUANTClassifier(random_state=seed)


def nearest_neighbour_dtw(seed):
    """Return the nearest neighbour by dynamic time warping, without a window."""
    from nearest_neighbour import NearestNeighbourDTW

    return NearestNeighbourDTW()


CLASSIFIERS = {
    "V2S": v2s,
    "V2S-fast": v2s_fast,
    "V2S-ICML2021": v2s_paper,
    "MiniRocket": mini_rocket,
    "MiniRocket-calibrated": mini_rocket_calibrated,
    "MultiRocketHydra": multi_rocket_hydra,
    "Hydra": hydra,
    "QUANT": quant,
    "1NN-DTW": nearest_neighbour_dtw,
}


def load_split(dataset, resample, data_dir):
    """Return X_train, y_train, X_test, y_test: the default split for resample 0, else aeon's, seeded by the number."""
    X_train, y_train = load_classification(dataset, split="train", extract_path=data_dir)
    X_test, y_test = load_classification(dataset, split="test", extract_path=data_dir)
    if resample == 0:
        return X_train, y_train, X_test, y_test
    X_train, y_train, X_test, y_test = stratified_resample_data(X_train, y_train, X_test, y_test, random_state=resample)
    return X_train, y_train, X_test, y_test


def draw_per_class(X, y, n_cases, seed):
    """Return ``n_cases`` random cases of each class, all of a class that has fewer."""
    random_state = np.random.RandomState(seed)
    chosen = [random_state.permutation(np.flatnonzero(y == label))[:n_cases] for label in np.unique(y)]
    chosen = np.sort(np.concatenate(chosen))
    return (X[chosen] if isinstance(X, np.ndarray) else [X[i] for i in chosen]), y[chosen]


def set_threads(n_threads):
    """Give every library of this process this number of threads."""
    import numba
    import torch
    from threadpoolctl import threadpool_limits

    torch.set_num_threads(n_threads)
    numba.set_num_threads(n_threads)
    threadpool_limits(n_threads)


def warm_up(name):
    """Fit once on noise, so that compilation is not timed."""
    rng = np.random.default_rng(0)
    CLASSIFIERS[name](0).fit(rng.normal(size=(8, 1, 64)), np.arange(8) % 2).predict(rng.normal(size=(2, 1, 64)))


def fit_and_predict(name, seed, X_train, y_train, X_test):
    """Return probabilities, parameters in words, and the seconds of fit and of predict.

    Processor time of one thread, which the load of the machine hardly changes; of several the time on the clock.
    """
    import torch

    classifier = CLASSIFIERS[name](seed)
    if isinstance(X_train, list) and not classifier.get_tag("capability:unequal_length"):
        longest = max(case.shape[1] for case in itertools.chain(X_train, X_test))
        classifier = make_pipeline(Padder(padded_length=longest), classifier)
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    started = clock()
    classifier.fit(X_train, y_train)
    fitted = clock()
    probabilities = classifier.predict_proba(X_test)
    return probabilities, repr(classifier), fitted - started, clock() - fitted


def test_run(name, dataset, resample, seed, data_dir, per_class=0):
    """Return the `Result` of a fit on the training split, or some cases a class, and a prediction of the test split."""
    X_train, y_train, X_test, y_test = load_split(dataset, 0 if per_class else resample, data_dir)
    if per_class:
        X_train, y_train = draw_per_class(X_train, y_train, per_class, resample)
    probabilities, parameters, fit_time, predict_time = fit_and_predict(name, seed, X_train, y_train, X_test)
    labels = np.searchsorted(np.unique(y_train), y_test)
    return Result(
        dataset,
        name,
        resample,
        labels,
        probabilities,
        fit_time,
        predict_time,
        parameters=parameters,
        comment=f"{seed=}" + (f" {per_class=}" if per_class else ""),
    )


def cross_validation_run(name, dataset, n_folds, seed, data_dir):
    """Return the `Result` of predictions of the training split by stratified cross-validation; times are sums."""
    X, y = load_classification(dataset, split="train", extract_path=data_dir)
    classes, labels = np.unique(y, return_inverse=True)
    probabilities, parameters, times = np.zeros((len(y), len(classes))), "", np.zeros(2)
    folds = StratifiedKFold(min(n_folds, np.bincount(labels).min()), shuffle=True, random_state=0)
    for train, left_out in folds.split(X, y):
        X_left_out = X[left_out] if isinstance(X, np.ndarray) else [X[i] for i in left_out]
        X_train = X[train] if isinstance(X, np.ndarray) else [X[i] for i in train]
        probabilities[left_out], parameters, *seconds = fit_and_predict(name, seed, X_train, y[train], X_left_out)
        times += seconds
    return Result(
        dataset,
        name,
        0,
        labels,
        probabilities,
        *times,
        split="TRAIN",
        parameters=parameters,
        comment=f"{seed=} n_folds={folds.n_splits}",
    )


def run(path, name, dataset, resample, seed, options):
    """Make one result file, on the machine that runs it; return the result."""
    if path.exists():  # by a worker that was lost before it could tell
        return Result.read(path)
    set_threads(options.threads)
    warm_up(name)
    if options.cv:
        result = cross_validation_run(name, dataset, options.cv, seed, options.data_dir)
    else:
        result = test_run(name, dataset, resample, seed, options.data_dir, options.per_class)
    if options.backend == "processes":  # else the peak is that of all the runs before
        result.memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    result.write(path)
    return result


def find_datasets(data_dir):
    """Return the names of the data sets in a folder of aeon's layout, sorted by the size of their files."""
    paths = Path(data_dir).glob("*/*_TRAIN.ts")
    return [path.parent.name for path in sorted(paths, key=lambda path: path.stat().st_size)]


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
    parser.add_argument("--per-class", type=int, default=0, metavar="N", help="few labels; give another --results")
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time; leave it at 1 where times count")
    parser.add_argument(
        "--backend",
        choices=["processes", "loky", "dask"],
        default="processes",
        help="a fresh process a run, or workers",
    )
    parser.add_argument("--scheduler", metavar="ADDRESS", help="of a dask cluster; default: one of --jobs workers here")
    parser.add_argument("--threads", type=int, default=1, help="of a run")
    parser.add_argument("--results", type=Path, default=ROOT / "results")
    options = parser.parse_args(arguments)
    if options.scheduler and options.backend != "dask":
        parser.error("--scheduler needs --backend dask")
    options.resamples = list(dict.fromkeys(itertools.chain.from_iterable(options.resamples)))
    # Workers need not share our working directory.
    options.data_dir, options.results = options.data_dir.resolve(), options.results.resolve()
    return options


def make_plan(options):
    """Return the missing runs: a dict of path to classifier, data set, resample and seed."""
    datasets = options.datasets or find_datasets(options.data_dir)
    plan = {}
    # Classifiers innermost, so that rivals are timed side by side.
    for seed, resample, dataset, name in itertools.product(
        options.seeds, [0] if options.cv else options.resamples, datasets, options.classifiers
    ):
        label = name if seed == 0 else f"{name}-seed{seed}"
        path = result_path(options.results, label, dataset, resample, "train" if options.cv else "test")
        if not path.exists():
            plan[path] = (name, dataset, resample, seed)
    return plan


def make_runs(plan, options):
    """Make the runs of a plan; yield the path of each with its result or exception as it ends."""
    tasks = {path: (path, *what, options) for path, what in plan.items()}
    if options.backend == "loky":
        return loky_workers(run, tasks, options.jobs)
    if options.backend == "dask":
        modules = [
            ROOT / f"{name}.py" for name in ("backends", "results_file", "nearest_neighbour", "calibrated_ridge")
        ]
        if run.__module__ != "__main__":
            modules.append(sys.modules[run.__module__].__file__)
        return dask_workers(run, tasks, options.jobs, options.scheduler, modules)
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
