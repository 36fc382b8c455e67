"""The tables of results: one csv a setting, a row a run or a measurement.

``default``, ``few_labels``, ``multivariate`` and ``reproduction`` have a row a run, as does any other setting of
`benchmarks.run.classifiers`; the others are in `KEYS`. Floats are written so that the same ones are read again.
"""

from pathlib import Path

import pandas as pd

from benchmarks.run.measures import measure
from benchmarks.run.results import Run
from v2s_sklearn.files.writing import write_atomically

# What tells a row of a table from all others, for the tables that have no `Run` a row.
KEYS = {
    "controls": ("source", "weights", "dataset"),
    "missing_values": ("dataset", "missing", "classifier"),
    "ranking": ("dataset", "source"),
    "reproduction_selection": ("dataset", "n_replicates", "dropout"),
    "reproduction_traces": ("dataset", "epoch"),
    "sizes": ("preset", "hardware", "n_cases"),
    "sources": ("source",),
}


def key_of(name):
    """Return the columns by which rows of a table are told apart."""
    return list(KEYS.get(name, Run._fields))


def row_of(run, result):
    """Return the row of a `Run` with this `Result`: a dict of column to value; times in seconds, memory in bytes."""
    return {
        **run._asdict(),
        **measure(result.labels, result.probabilities),
        "fit_time": result.fit_time,
        "predict_time": result.predict_time,
        "memory": result.memory,
        "comment": result.comment,
        "parameters": result.parameters,
    }


def read_table(folder, name):
    """Return a table.

    Raises
    ------
    FileNotFoundError
        If there is none; the message says how to make it.
    """
    path = Path(folder) / f"{name}.csv"
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing. Make runs, and the table with python -m benchmarks.run.collect.")
    table = pd.read_csv(path, float_precision="round_trip")
    words = [column for column in ("comment", "parameters") if column in table]
    return table.fillna(dict.fromkeys(words, ""))


def write_table(folder, name, rows):
    """Add rows to a table, in the place of those with the same key, or make it; whole or not at all.

    Parameters
    ----------
    folder : path
    name : str
    rows : list of dict

    Returns
    -------
    int
        The number of rows of the table, which are sorted by their key.
    """
    key, path = key_of(name), Path(folder) / f"{name}.csv"
    table = pd.DataFrame(rows)
    if path.exists():
        table = pd.concat([read_table(folder, name), table])
    table = table.drop_duplicates(key, keep="last").sort_values(key)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, table.to_csv(index=False, lineterminator="\n").encode())
    return len(table)


def known_runs(folder, setting):
    """Return the runs that stand in the table of a setting: a set of `Run`."""
    try:
        table = read_table(folder, setting)
    except FileNotFoundError:
        return set()
    return {Run(*values) for values in table[list(Run._fields)].itertuples(index=False)}
