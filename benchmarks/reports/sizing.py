"""Core hours of benchmarks and of large data sets, from the measured times in the tables.

python -m benchmarks.reports.sizing

Seconds of one thread are fitted to the mean run of each measured data set, by least squares of the errors relative to
the fitted values, with coefficients that are not negative:

    fit      a + N (b + c T + d min(N, F))      N training cases of T points, F features
    predict  a + N (b + c T)                    N test cases

b is what a case costs, c what a point of it costs; d stands for the closed-form solution, which has min(N, F)
multiplications for each value of the features. Measured data sets count as measured, the others as fitted. The sizes of
the 112 data sets of equal length and without missing values are in ucr112.csv (Dau et al. 2019, the UCR archive's own
summary).
"""

import argparse
import heapq
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.optimize import nnls

from benchmarks.paths import RESULTS
from benchmarks.reports.accuracy import to_markdown
from benchmarks.run.tables import read_table

CLASSIFIERS = ["V2S", "MultiRocketHydra", "MiniRocket"]
N_RESAMPLES = 30
WORKERS = (16, 64, 256)
LARGE = (1_000_000, 200)


@dataclass
class Cost:
    """A cost as a function of the number of cases and their length, linear in its coefficients.

    Attributes
    ----------
    coefficients : array of shape (3,) or (4,)
        Of a run, a case, a point and, if there is a fourth, a pair of cases.
    n_features : float
        From so many cases on a further case has no more pairs.
    """

    coefficients: np.ndarray
    n_features: float = np.inf

    @staticmethod
    def _terms(n_cases, length, n_features, n_terms):
        n_cases, length = np.asarray(n_cases, dtype=float), np.asarray(length, dtype=float)
        terms = [np.ones_like(n_cases), n_cases, n_cases * length, n_cases * np.minimum(n_cases, n_features)]
        return np.stack(terms[:n_terms], axis=-1)

    @classmethod
    def fit(cls, n_cases, length, values, pairs=False, n_features=np.inf):
        """Fit the coefficients to measured values, by least squares of the errors relative to the fitted values."""
        terms, values = cls._terms(n_cases, length, n_features, 3 + pairs), np.asarray(values, dtype=float)
        scale = values  # relative to the measured values the fit would be low: begin there and go on
        for _ in range(20):
            coefficients = nnls(terms / scale[:, None], values / scale)[0]
            scale = terms @ coefficients
        return cls(coefficients, n_features)

    def __call__(self, n_cases, length):
        """Return the cost of data of this size."""
        return self._terms(n_cases, length, self.n_features, len(self.coefficients)) @ self.coefficients


def read_sizes():
    """Return the sizes of the data sets: index "dataset", columns "train", "test", "classes", "length"."""
    return pd.read_csv(Path(__file__).with_name("ucr112.csv"), index_col="dataset")


def read_measured(folder, classifier, sizes):
    """Return a row a measured data set: its sizes, mean seconds of fit and predict, and the most memory of a run."""
    runs = read_table(folder, "default").rename(columns={"fit_time": "fit", "predict_time": "predict"})
    runs = runs[(runs["classifier"] == classifier) & (runs["split"] == "TEST") & runs["dataset"].isin(sizes.index)]
    if not len(runs):
        raise FileNotFoundError(
            f"{folder} has no test results of {classifier}. Make them with benchmarks.run.classifiers."
        )
    runs = runs.groupby("dataset")
    means = runs[["fit", "predict"]].mean().assign(memory=runs["memory"].max(), runs=runs.size())
    return sizes.loc[means.index].join(means)


def fit_costs(measured, n_features=np.inf):
    """Return the `Cost` of fit and of predict in seconds, and that of a run's greatest memory in bytes."""
    train, length = measured["train"], measured["length"]
    known = measured[measured["memory"] > 0]  # unknown where a worker has made many runs
    return {
        "fit": Cost.fit(train, length, measured["fit"], pairs=True, n_features=n_features),
        "predict": Cost.fit(measured["test"], length, measured["predict"]),
        "memory": Cost.fit(known["train"], known["length"], known["memory"]),
    }


def seconds_of_a_run(costs, sizes):
    """Return the fitted seconds of fit and predict of each data set."""
    return costs["fit"](sizes["train"], sizes["length"]) + costs["predict"](sizes["test"], sizes["length"])


def error_on_unseen(measured):
    """Return fitted over measured seconds of each data set, fitted without it."""
    ratios = []
    for name in measured.index:
        row = measured.loc[[name]]
        predicted = seconds_of_a_run(fit_costs(measured.drop(index=name)), row)
        ratios.append(predicted[0] / (row["fit"] + row["predict"]).iloc[0])
    return np.array(ratios)


def wall_time(seconds, n_workers):
    """Return when the last run ends if each free worker takes the next run, in the order of ``seconds``."""
    free = [0.0] * min(n_workers, len(seconds))
    for run in seconds:
        heapq.heapreplace(free, free[0] + run)
    return max(free)


def archive_row(measured, sizes):
    """Return the costs of 30 resamples of all data sets: a dict of column to value."""
    costs = fit_costs(measured)
    seconds = pd.Series(seconds_of_a_run(costs, sizes), index=sizes.index)
    seconds[measured.index] = measured["fit"] + measured["predict"]
    in_order = np.tile(seconds.loc[sizes.eval("train * length").sort_values().index], N_RESAMPLES)
    ratios = error_on_unseen(measured)
    hours = N_RESAMPLES * seconds / 3600
    return {
        "sets measured": len(measured),
        "fitted / measured, median": np.median(ratios),
        "5 to 95 %": " to ".join(f"{value:.2f}" for value in np.quantile(ratios, [0.05, 0.95])),
        "core hours, measured sets": hours[measured.index].sum(),
        "core hours, all 112": hours.sum(),
        **{f"hours on {n}": wall_time(in_order, n) / 3600 for n in WORKERS},
        "longest run, minutes": seconds.max() / 60,
        "longest run": seconds.idxmax(),
        "GB of a worker, fitted": costs["memory"](sizes["train"], sizes["length"]).max() / 1e9,
    }


def large_table(measured, n_cases, length, n_features):
    """Return the core hours of one large data set, by part of the work."""
    costs = fit_costs(measured, n_features)
    parts = {"fit": costs["fit"](n_cases, length), "predict as many": costs["predict"](n_cases, length)}
    return pd.DataFrame(
        {
            part: {"core hours": seconds / 3600}
            | {f"hours on {n_workers}": seconds / 3600 / n_workers for n_workers in WORKERS}
            for part, seconds in parts.items()
        }
    ).T


def coefficient_table(measured):
    """Return the fitted coefficients of fit and predict of each classifier."""
    rows = {}
    for classifier, table in measured.items():
        costs = fit_costs(table)
        for part in ("fit", "predict"):
            run, case, point, *pair = costs[part].coefficients
            rows[f"{classifier}, {part}"] = {
                "a run, s": run,
                "a case, ms": 1e3 * case,
                "a point of a case, us": 1e6 * point,
                "a pair of cases, us": 1e6 * pair[0] if pair else "",
            }
    return pd.DataFrame(rows).T


def default_features(length):
    """Return the number of features of a univariate case in the default."""
    from v2s_sklearn import V2SFeatures

    X = np.random.default_rng(0).normal(size=(4, 1, length))
    return V2SFeatures().fit(X).transform(X).shape[1]


def make_tables(measured, sizes, n_features):
    """Return the whole section in Markdown."""
    n_cases, length = LARGE
    archive = pd.DataFrame({name: archive_row(table, sizes) for name, table in measured.items()})
    first = next(iter(measured))
    most = measured[first].eval("train * length").idxmax()
    growth = n_cases * length / measured[first].eval("train * length").max()
    return "\n\n".join(
        [
            "Fitted coefficients, seconds of one thread:",
            to_markdown(coefficient_table(measured)),
            f"The {len(sizes)} data sets x {N_RESAMPLES} resamples (fitted / measured: of each measured set, fitted "
            "without it):",
            archive.map(lambda value: f"{value:.2f}" if isinstance(value, float) else value).to_markdown(),
            f"{first} on {n_cases:,} cases x {length} points, {n_features:,} features a case. This is extrapolated: "
            f"{growth:.0f} times the largest measured training set ({most}), on the assumption that a case costs as "
            "much as there, and that the workers share the ridges as they share the embedding. What is not in it: the "
            "decompositions of a ridge, and the network.",
            to_markdown(large_table(measured[first], n_cases, length, n_features)),
        ]
    )


def sizing_report(results, classifiers=CLASSIFIERS):
    """Return the tables of these classifiers, of which the first one is ours."""
    sizes = read_sizes()
    measured = {name: read_measured(results, name, sizes) for name in classifiers}
    return make_tables(measured, sizes, default_features(LARGE[1])) + "\n"


def main(arguments=None):
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--classifiers", nargs="+", default=CLASSIFIERS, help="the first one is ours")
    options = parser.parse_args(arguments)
    print(sizing_report(options.results, options.classifiers))


if __name__ == "__main__":
    main()
