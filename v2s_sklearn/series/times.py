"""The order of time points: of labels of any type that can be compared, and of text where it reads in one way only.

Shape legend: P rows of a frame, each one time point of a case.
"""

import re
import warnings

import numpy as np
import pandas as pd

from v2s_sklearn.errors import InvalidSeriesError

# Spacings that differ from the median by a larger share are irregular; those of months differ by less.
REGULAR = 0.1
NAMES_OF_TIME = ("time", "timepoint", "timepoints", "timestamp", "date", "datetime")
NUMBER = re.compile(r"(\D*?)([-+]?\d+(?:\.\d+)?)(\D*)")
CLOCK = re.compile(r"\d{1,2}(:\d{1,2}){1,2}(\.\d+)?")
ISO_DATE = re.compile(r"\d{4}-\d{2}(-\d{2}([T ]\d{2}(:?\d{2}(:?\d{2}([.,]\d+)?)?)?)?)?(?P<zone>Z|[-+]\d{2}(:?\d{2})?)?")


def order_times(times):
    """Return the ranks of time points, int (P,), and where they stand on an axis, float (P,), or None where unknown.

    Parameters
    ----------
    times : pandas.Index of P values
        The second level of a frame's index, without missing values.

    Raises
    ------
    InvalidSeriesError
        That names the level: if values of it cannot be compared, or are text whose order is not certain.
    """
    codes, labels = pd.factorize(times)
    name = "The time level of X" if times.name is None else f"The time level {times.name!r} of X"
    ranks, places = _order(pd.Index(labels), name)
    return ranks[codes], None if places is None else places[codes]


def is_regular(places, codes):
    """Return whether the time points of all cases lie equally far from each other.

    Parameters
    ----------
    places : float array of shape (P,)
        Sorted within each case.
    codes : int array of shape (P,)
        Which case; those of one case stand together.
    """
    spacings = np.diff(places)[codes[1:] == codes[:-1]]
    if len(spacings) == 0:
        return True
    median = np.median(spacings)
    with np.errstate(invalid="ignore"):
        return bool((np.abs(spacings - median) <= REGULAR * median).all())


def warn_irregular():
    """Warn that only the order of the times counts."""
    warnings.warn(
        "The times of X are not equally spaced, and only their order counts: a series is taken as if its time points "
        "were. If the times matter, bring each case to one step before, for example by case.resample('1s').mean(), "
        "which leaves gaps where nothing was measured; gaps are filled.",
        stacklevel=2,
    )


def is_time_axis(index):
    """Return whether an index holds times: dates, periods, durations, objects of datetime, or by its name."""
    if isinstance(index, pd.DatetimeIndex | pd.PeriodIndex | pd.TimedeltaIndex) or index.name in NAMES_OF_TIME:
        return True
    return pd.api.types.infer_dtype(index, skipna=True) in ("date", "datetime", "datetime64", "time", "timedelta")


def _order(labels, name):
    """Return ranks and places of distinct labels, see `order_times`."""
    if isinstance(labels, pd.CategoricalIndex):
        if labels.ordered:
            return _ranks(np.asarray(labels.codes)), None
        labels = labels.categories.take(labels.codes)
    if isinstance(labels, pd.DatetimeIndex | pd.PeriodIndex | pd.TimedeltaIndex):
        return _of_numbers(labels.asi8)
    if pd.api.types.is_bool_dtype(labels) or pd.api.types.is_numeric_dtype(labels):
        numbers = labels.to_numpy()
        if numbers.dtype.kind in "biuf":
            return _of_numbers(numbers)
    values = labels.astype(object).tolist()
    if len(values) == 1:
        return np.zeros(1, dtype=np.int64), None
    if all(isinstance(value, str) for value in values):
        values, places = _read_text(values, name)
    else:
        places = _places(values)
    try:
        order = sorted(range(len(values)), key=values.__getitem__)
        certain = all(bool(values[a] < values[b]) for a, b in zip(order, order[1:], strict=False))
    except (TypeError, ValueError):
        certain = False
    if not certain:
        shown = sorted({type(value).__name__ for value in labels})
        raise InvalidSeriesError(
            f"{name} holds values that cannot be put in one order, of type {', '.join(shown)}. Give numbers, dates or "
            "an ordered pandas.Categorical, all of one type."
        )
    ranks = np.empty(len(values), dtype=np.int64)
    ranks[order] = np.arange(len(values))
    return ranks, places


def _of_numbers(numbers):
    """Return the ranks of numbers and their distances from the smallest."""
    numbers = numbers.astype(np.int8) if numbers.dtype.kind == "b" else numbers
    return _ranks(numbers), (numbers - numbers.min()).astype(np.float64)


def _ranks(numbers):
    return np.argsort(np.argsort(numbers, kind="stable"), kind="stable")


def _places(values):
    """Return where values of which differences can be taken stand, float array, or None."""
    try:
        distances = [value - values[0] for value in values]
        seconds = [d.total_seconds() if hasattr(d, "total_seconds") else d for d in distances]
        return np.array([float(second) for second in seconds])
    except (TypeError, ValueError, ArithmeticError):
        return None


def _read_text(labels, name):
    """Return numbers by which text is sorted as it reads, and where on an axis they stand or None.

    Numbers, also behind and before words that all labels share; dates as ISO 8601 has them; times of a clock; numbered
    parts of a fixed width behind a year; one numbered part; single letters. All else, names of months or dates in the
    order of some country, reads in several ways or in none.
    """
    for read in (_read_numbers, _read_dates, _read_clock, _read_parts, _read_letters):
        found = read(labels)
        if found is not None:
            return found
    first, *others = labels
    raise InvalidSeriesError(
        f"{name} holds text whose order is not certain, such as {first!r} and {others[0]!r}. Make it numbers or dates "
        "(pandas.to_numeric, pandas.to_datetime), or an ordered pandas.Categorical."
    )


def _read_numbers(labels):
    """Read numbers between words that all labels share; a sign counts where no word stands before it."""
    found = [match for label in labels if (match := NUMBER.fullmatch(label.strip()))]
    if len(found) == len(labels):
        words = {(match[1], match[3]) for match in found}
        if len(words) == 1 and not (found[0][1] and any(match[2][0] in "+-" for match in found)):
            numbers = [float(match[2]) if "." in match[2] else int(match[2]) for match in found]
            return numbers, np.array([float(number) for number in numbers])
    try:
        numbers = [float(label) for label in labels]  # 1e-3
    except ValueError:
        return None
    return None if any(number != number for number in numbers) else (numbers, np.array(numbers))


def _read_dates(labels):
    """Read dates of ISO 8601, all with a time zone or none."""
    found = [match for label in labels if (match := ISO_DATE.fullmatch(label))]
    if len(found) < len(labels) or len({match["zone"] is None for match in found}) > 1:
        return None
    try:
        dates = pd.DatetimeIndex(pd.to_datetime(labels, format="ISO8601", utc=True))
    except ValueError:  # a month 13
        return None
    return dates.asi8.tolist(), dates.asi8.astype(np.float64)


def _read_clock(labels):
    """Read times of a clock: hours, minutes and maybe seconds."""
    if not all(CLOCK.fullmatch(label) for label in labels) or len({label.count(":") for label in labels}) > 1:
        return None
    seconds = []
    for label in labels:
        parts = [float(part) for part in label.split(":")]
        seconds.append(sum(part * 60.0**power for power, part in enumerate(reversed(parts))))
    return seconds, np.array(seconds)


def _read_parts(labels):
    """Read numbers between other characters that all labels share."""
    split = [re.split(r"(\d+)", label) for label in labels]
    if len({tuple(parts[::2]) for parts in split}) > 1:
        return None
    columns = list(zip(*(parts[1::2] for parts in split), strict=True))
    fixed = all(len({len(number) for number in column}) == 1 for column in columns)
    if columns and fixed and len(columns[0][0]) == 4 and not split[0][0]:
        return [tuple(int(number) for number in parts[1::2]) for parts in split], None
    varying = [place for place, column in enumerate(columns) if len(set(column)) > 1]
    if len(varying) == 1 and not split[0][2 * varying[0]].endswith((".", ",", "-", "+")):
        numbers = [int(number) for number in columns[varying[0]]]
        return numbers, np.array(numbers, dtype=np.float64)
    return None


def _read_letters(labels):
    """Read single letters."""
    letters = all(len(label) == 1 and label.isascii() and label.isalpha() for label in labels)
    if letters and len({label.isupper() for label in labels}) == 1:
        return [ord(label) for label in labels], None
    return None
