"""The published method on the paper's data sets, with nothing chosen on test splits, and its suspected defects.

python -m benchmarks.reproduction.variants --data-dir FOLDER --variants V2Sa TFa [--seeds 0 1 2]

Paper mode (``V2SClassifier.icml2021``), the acoustic model frozen. The number of replicates m and the dropout are
chosen once for each data set, on at most 60 training cases, by two-fold cross-validation over a small grid; the final
fit is on the whole training split, for the paper's 100 epochs or, on larger splits, as many as `MAX_PRESENTATIONS`
allows; the test split is predicted once. Each run is a file in the format of `benchmarks.run.results`, whose comment
has what was chosen and measured; a run whose file is there, or which stands in the table, is skipped, so the command
can be killed and repeated. `benchmarks.run.collect` puts the files into the tables.
"""

import argparse
import itertools
import time
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from sklearn.model_selection import GridSearchCV, StratifiedKFold

from benchmarks.reproduction.defects import TestAccuracy, TrainedAcousticModel, collapses, labels_by_remainder
from benchmarks.run.backends import set_threads
from benchmarks.run.data import draw_per_class, find_datasets, load_split
from benchmarks.run.once import Places, measure_once, six_digits
from benchmarks.run.results import Result, Run
from benchmarks.run.tables import known_runs
from benchmarks.sources.ranking import load
from v2s_sklearn import V2SClassifier
from v2s_sklearn.alignment import (
    AlignmentHistory,
    load_source_logits,
    sliced_wasserstein,
    target_logits,
    target_risk_bound,
)
from v2s_sklearn.network.inference import predict_proba
from v2s_sklearn.series.scaling import SeriesScaler
from v2s_sklearn.transfer import TransferClassifier

# Of the paper's grid, m from 1 to 10 and dropout from 0 to 0.4, what can be paid; m = 1 learned nothing, see NOTES.md.
GRID = {"n_replicates": [3, 10], "dropout": [0.0, 0.2]}
GRID_EPOCHS, N_FOLDS = 10, 2
# Training cases shown in a final fit, each as often as it is shown; at least one epoch, at most the paper's 100.
MAX_PRESENTATIONS, MAX_EPOCHS = 4_000, 100
# Cases whose source logits the distances are computed from.
MAX_ALIGNED = 200


class Variant(NamedTuple):
    """One column of the tables.

    Attributes
    ----------
    source : str
        Acoustic model.
    settings : dict
        Parameters that differ from paper mode's.
    callbacks : tuple of callables
        Without arguments; each makes a skorch callback.
    transfer : bool
        The transfer-learning baseline instead.
    collapsed : bool
        Labels by remainder; only where that merges classes.
    per_class : int
        Few labels: so many training cases of each class, those that the runner's ``--per-class`` draws, with paper
        mode's m, for nothing else is known of the labels; 0 for all.
    selected : bool
        Whether m and dropout are those chosen; otherwise paper mode's, m = 10 and no dropout.
    """

    source: str = "v2sa"
    settings: dict = {}
    callbacks: tuple = ()
    transfer: bool = False
    collapsed: bool = False
    per_class: int = 0
    selected: bool = True


VARIANTS = {
    "V2Sa": Variant(),
    "V2Su": Variant("v2su"),
    "TFa": Variant(transfer=True),
    # Of one class there is nothing to learn: no epoch.
    "V2Sa-collapsed": Variant(settings={"max_epochs": 0}, collapsed=True),
    "V2Sa-trained": Variant(callbacks=(TrainedAcousticModel,)),
    "V2Sa-frequency": Variant(settings={"mapping": "frequency"}),
    "V2Sv": Variant("v2sv"),
    "V2Sa-digits": Variant("v2sa-digits"),
    "V2Sa-esc10": Variant("v2sa-esc10"),
    "V2Sa-5": Variant(per_class=5),
    "V2Sa-m10": Variant(selected=False),
    "V2Sa-100": Variant(settings={"max_epochs": MAX_EPOCHS}),
}


def n_epochs(n_cases, max_epochs):
    """Return the epochs of a final fit on so many cases, which is fixed before it."""
    return max(1, min(max_epochs, MAX_PRESENTATIONS // n_cases))


def select(dataset, data_dir):
    """Return a row for each m and dropout, scored by cross-validation on a part of a training split with v2sa."""
    X, y = load(dataset, data_dir)
    started = time.process_time()
    folds = StratifiedKFold(N_FOLDS, shuffle=True, random_state=0)
    search = GridSearchCV(V2SClassifier.icml2021(max_epochs=GRID_EPOCHS, random_state=0), GRID, cv=folds, refit=False)
    found = search.fit(X, y).cv_results_
    more = {"n_cases": len(y), "seconds": time.process_time() - started}
    return [
        settings | {"accuracy": float(accuracy), "chosen": settings == search.best_params_} | more
        for settings, accuracy in zip(found["params"], found["mean_test_score"], strict=True)
    ]


def applies(name, dataset, data_dir):
    """Return whether a variant differs from the honest run: labels by remainder often are other names only."""
    return not VARIANTS[name].collapsed or collapses(load_split(dataset, 0, data_dir)[1])


def choice(variant, dataset, places, data_dir):
    """Return the parameters that a variant takes from the selection, which is made if there is none."""
    if variant.transfer or variant.per_class or not variant.selected:
        return {}
    key = {"dataset": dataset}
    rows = measure_once(places, "reproduction_selection", key, select, dataset, data_dir)
    (chosen,) = [row for row in rows if row["chosen"]]
    return {name: chosen[name] for name in GRID}


def make_classifier(variant, chosen, n_cases, seed, callbacks=()):
    """Return the classifier of a final fit, unfitted."""
    callbacks = [make() for make in variant.callbacks] + list(callbacks)
    if variant.transfer:
        epochs = n_epochs(n_cases, TransferClassifier().max_epochs)
        return TransferClassifier(variant.source, standardize=False, max_epochs=epochs, random_state=seed)
    settings = {"acoustic_model": variant.source, "max_epochs": n_epochs(n_cases, MAX_EPOCHS), "random_state": seed}
    return V2SClassifier.icml2021(**(settings | chosen | variant.settings), callbacks=callbacks or None)


def alignment(classifier, X, y):
    """Return the distances of speech and reprogrammed series before and after training, and the bound of Theorem 1."""
    source = load_source_logits(classifier.acoustic_model)
    chosen = np.sort(np.random.RandomState(0).permutation(len(X))[:MAX_ALIGNED])
    # The same theta and mapping, untrained.
    before = classifier.__class__(**classifier.get_params()).set_params(max_epochs=0).fit(X, y)
    logits = {name: target_logits(fitted, X[chosen]) for name, fitted in (("before", before), ("after", classifier))}
    return {
        "swd_before": sliced_wasserstein(source.logits, logits["before"]),
        "swd_after": sliced_wasserstein(source.logits, logits["after"]),
        "bound_before": target_risk_bound(*source, logits["before"]),
        "bound": target_risk_bound(*source, logits["after"]),
    }


def run(name, dataset, seed, places, data_dir):
    """Return the `Result` of a variant on a data set."""
    variant = VARIANTS[name]
    X_train, y_train, X_test, y_test = load_split(dataset, 0, data_dir)
    if variant.collapsed:
        y_train, y_test = labels_by_remainder(y_train, y_test)
    if variant.per_class:
        X_train, y_train = draw_per_class(X_train, y_train, variant.per_class, 0)
    classifier = make_classifier(variant, choice(variant, dataset, places, data_dir), len(X_train), seed)
    started = time.process_time()
    classifier.fit(X_train, y_train)
    fitted = time.process_time()
    probabilities = classifier.predict_proba(X_test)
    predicted = time.process_time()
    history = classifier.net_.history
    facts = {
        "seed": seed,
        "m": classifier.n_replicates,
        "epochs": classifier.max_epochs,
    }
    if history:
        facts |= {"first_loss": history[0, "train_loss"], "last_loss": history[-1, "train_loss"]}
    if not variant.transfer:
        facts["dropout"] = classifier.dropout
    # A fine-tuned or trained source has other logits of speech than the packaged ones.
    if history and not (variant.transfer or variant.callbacks):
        facts |= alignment(classifier, X_train, y_train)
    labels = np.searchsorted(np.unique(y_train), y_test)
    return Result(
        dataset,
        name,
        0,
        labels,
        probabilities,
        fitted - started,
        predicted - fitted,
        parameters=repr(classifier),
        comment=" ".join(
            f"{key}={value:.6g}" if isinstance(value, float) else f"{key}={value}" for key, value in facts.items()
        ),
    )


def trace(dataset, places, data_dir):
    """Return V2Sa's training, a row an epoch; its accuracies on the test split are a simulation."""
    X_train, y_train, X_test, y_test = load_split(dataset, 0, data_dir)
    variant = VARIANTS["V2Sa"]
    classifier = make_classifier(variant, choice(variant, dataset, places, data_dir), len(X_train), 0)
    predict = partial(_predict, np.unique(y_train), X_test)
    classifier.set_params(callbacks=[AlignmentHistory(), TestAccuracy(predict, y_test)]).fit(X_train, y_train)
    columns = ("epoch", "train_loss", "train_swd", "train_acc", "test_acc")
    return [six_digits(dict(zip(columns, row, strict=True))) for row in classifier.net_.history[:, columns]]


def _predict(classes, X, net):
    """Return what a net that is being trained predicts, of series as they are, as in the paper."""
    (view,) = net.module_.views
    scaler = SeriesScaler(standardize=False, max_points=view.max_points(view.acoustic, X.shape[1])).fit(X)
    return classes[predict_proba(net.module_, X, scaler, net.device).argmax(axis=1)]


def parse_arguments(arguments=None):
    """Return the parsed command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=Path, required=True, help="folder with the UCR data sets in aeon's layout")
    parser.add_argument("--datasets", nargs="+", help="default: all in the folder, the smallest first")
    parser.add_argument("--variants", nargs="+", default=["V2Sa"], choices=[*VARIANTS, "trace"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0], help="1 is written as NAME-seed1")
    parser.add_argument("--threads", type=int, default=1)
    Places.add_arguments(parser)
    return parser.parse_args(arguments)


def main(arguments=None):
    """Make the runs that are missing."""
    options = parse_arguments(arguments)
    set_threads(options.threads)
    datasets = options.datasets or find_datasets(options.data_dir)
    places = Places.of_options(options)
    known = set() if places.force else known_runs(places.results, "reproduction")
    # Variants innermost, so that a run that is stopped has all of them on the same data sets.
    for seed, dataset, name in itertools.product(options.seeds, datasets, options.variants):
        if name == "trace":
            key = {"dataset": dataset}
            measure_once(places, "reproduction_traces", key, trace, dataset, places, options.data_dir)
            continue
        wanted = Run(name, seed, 0, dataset, 0)
        path = wanted.path(places.runs / "reproduction")
        if wanted in known or path.exists() or not applies(name, dataset, options.data_dir):
            continue
        result = run(name, dataset, seed, places, options.data_dir)
        result.write(path)
        print(f"{wanted.label} {dataset}: accuracy {result.accuracy:.4f}  {result.comment}", flush=True)


if __name__ == "__main__":
    main()
