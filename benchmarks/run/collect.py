"""Put the files of runs and measurements into the tables of results.

python -m benchmarks.run.collect [--predictions benchmarks/results/predictions.npz]

A run or measurement that stands in its table already is replaced, all others stay; tables are written whole or not at
all. To collect twice changes nothing. --predictions also puts the predictions of the runs into one archive, from which
probabilities, and what else is computed from them, can be had again; see `benchmarks.run.predictions`.
"""

import argparse
import json
from pathlib import Path

from benchmarks.paths import RESULTS, RUNS
from benchmarks.run.predictions import read_archive, write_archive
from benchmarks.run.results import Result, find_runs
from benchmarks.run.tables import KEYS, row_of, write_table


def collect(runs, results, predictions=None):
    """Put what a folder of runs has into tables and, if a path is given, into an archive of predictions.

    Parameters
    ----------
    runs, results : path
    predictions : path, optional

    Returns
    -------
    dict of str to int
        Tables that were written, and their numbers of rows.
    """
    archive = read_archive(predictions) if predictions and predictions.exists() else {}
    n_rows = {}
    for folder in sorted(path for path in Path(runs).iterdir() if path.is_dir()):
        if folder.name in KEYS:
            rows = [row for path in sorted(folder.glob("*.json")) for row in json.loads(path.read_text())]
        else:
            rows = []
            for run, path in find_runs(folder).items():
                result = Result.read(path)
                rows.append(row_of(run, result))
                archive[folder.name, run] = result.labels, result.probabilities
        if rows:
            n_rows[folder.name] = write_table(results, folder.name, rows)
    if predictions:
        write_archive(predictions, archive)
    return n_rows


def main(arguments=None):
    """Collect, and say what is there now."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=Path, default=RUNS, help="folder of the files")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the tables")
    parser.add_argument("--predictions", type=Path, metavar="ARCHIVE", help="npz file, made or added to")
    options = parser.parse_args(arguments)
    if not options.runs.is_dir():
        parser.error(f"{options.runs} is no folder. Make runs first, for example with benchmarks.run.classifiers.")
    for name, n_rows in collect(options.runs, options.results, options.predictions).items():
        print(f"{name}: {n_rows} rows")


if __name__ == "__main__":
    main()
