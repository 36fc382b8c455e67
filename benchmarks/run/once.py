"""Measurements that are made once: what stands in a table or in a file is not made again."""

import json
from pathlib import Path
from typing import NamedTuple

from benchmarks.paths import RESULTS, RUNS
from benchmarks.run.tables import read_table
from v2s_sklearn.files.writing import write_atomically


class Places(NamedTuple):
    """Where files of measurements and tables are; ``force``: what stands in a table is made again."""

    runs: Path = RUNS
    results: Path = RESULTS
    force: bool = False

    @staticmethod
    def add_arguments(parser):
        """Give a command the options --runs, --results and --force."""
        parser.add_argument("--runs", type=Path, default=RUNS, help="folder of the files")
        parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the tables")
        parser.add_argument("--force", action="store_true", help="also make what stands in the tables")

    @classmethod
    def of_options(cls, options):
        """Return the places that a command was given."""
        return cls(options.runs, options.results, options.force)


def six_digits(row):
    """Return a row with its floats rounded to six digits."""
    return {name: float(f"{value:.6g}") if isinstance(value, float) else value for name, value in row.items()}


def measure_once(places, table, key, function, *arguments):
    """Return the rows of a measurement, from the table or from its file; if there is neither, measure and write it.

    Parameters
    ----------
    places : Places
    table : str
        Name of the table that `benchmarks.run.collect` will put the rows into.
    key : dict of str to str
        Columns of the table and their values that name the measurement.
    function : callable
        Returns a row without the key, or a list of such rows: dicts of column to value.
    *arguments
        Of the function.

    Returns
    -------
    list of dict
    """
    path = Path(places.runs) / table / ("-".join(map(str, key.values())).replace(" ", "-") + ".json")
    if path.exists():
        return json.loads(path.read_text())
    if not places.force and (Path(places.results) / f"{table}.csv").exists():
        known = read_table(places.results, table)
        known = known[(known[list(key)] == list(key.values())).all(axis=1)]
        if len(known):
            return known.to_dict("records")
    rows = function(*arguments)
    rows = [key | row for row in (rows if isinstance(rows, list) else [rows])]
    print(path.stem, six_digits(rows[-1]), flush=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, json.dumps(rows, indent=1).encode())
    return rows
