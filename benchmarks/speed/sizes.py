"""How long, how large: fit and predict by number of series, preset and hardware.

python -m benchmarks.speed.sizes [--cases 1000 5000 20000 50000] [--presets fast default] [--hardware one all gpu]

Each setting is measured in a process of its own, and its row is written to benchmarks/results/sizes.csv at once, so
that a command that was stopped goes on where it was. Then the table and the rule to interpolate are printed, and
written to docs/guide/how_long.md. ``--report`` measures nothing and writes only the page. Times are times on the clock,
so nothing else should run on the machine.

"one" is one thread, "all" is ``n_jobs=-1``, "gpu" is ``n_jobs=-1`` and ``device="cuda"``, which is left out where there
is none.
"""

import argparse
import json
import math
import os
import platform
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import torch

from benchmarks.paths import DOCS, RESULTS, ROOT
from benchmarks.reports.pages import replace_block
from benchmarks.run.tables import key_of, read_table, write_table
from benchmarks.speed.growth import make_collection
from v2s_sklearn import V2SClassifier

TABLE = "sizes"
PAGE = DOCS / "guide" / "how_long.md"
N_CASES = (1000, 5000, 20_000, 50_000)
N_POINTS = 200
PRESETS = {"fast": V2SClassifier.fast, "default": V2SClassifier}
HARDWARE = {
    "one": {"n_jobs": 1, "device": "cpu"},
    "all": {"n_jobs": -1, "device": "cpu"},
    "gpu": {"n_jobs": -1, "device": "cuda"},
}

TITLES = {"one": "one thread", "all": "all cores", "gpu": "GPU"}


def machine_name(hardware):
    """Return what a setting runs on, in words."""
    names = [line.split(":")[1].strip() for line in _cpu_lines() if line.startswith("model name")]
    processor = names[0] if names else platform.processor() or platform.machine()
    n_cores = 1 if hardware == "one" else len(os.sched_getaffinity(0))
    cores = f"{processor}, {n_cores} core{'s' if n_cores > 1 else ''}"
    return f"{torch.cuda.get_device_name(0)}; {cores}" if hardware == "gpu" else cores


def _cpu_lines():
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []


def measure(preset, hardware, n_cases, n_points=N_POINTS):
    """Return a row: seconds of fit, and of predict on as many other series, and GB of this process and the GPU.

    The process should be fresh, since its memory is the greatest that it ever had.
    """
    X, y = make_collection(n_cases, n_points, 1)
    X_test, _ = make_collection(n_cases, n_points, 1, seed=1)
    options = HARDWARE[hardware]
    # Loads the models, and makes CUDA ready.
    PRESETS[preset](random_state=0, **options).fit(X[:20], y[:20]).predict(X[:20])
    classifier = PRESETS[preset](random_state=0, **options)
    start = time.perf_counter()
    classifier.fit(X, y)
    fitted = time.perf_counter()
    classifier.predict(X_test)
    end = time.perf_counter()
    gpu = torch.cuda.max_memory_allocated() / 1e9 if hardware == "gpu" else math.nan
    return {
        "preset": preset,
        "hardware": hardware,
        "n_cases": n_cases,
        "n_points": n_points,
        "fit_seconds": round(fitted - start, 3),
        "predict_seconds": round(end - fitted, 3),
        "gigabytes": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9, 3),
        "gpu_gigabytes": round(gpu, 3),
        "machine": machine_name(hardware),
        "torch": torch.__version__,
    }


def measure_apart(*setting):
    """Return what `measure` gives in a process of its own."""
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.speed.sizes", "--measure", json.dumps(setting)]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def measure_all(settings, results=RESULTS, measure_one=measure_apart):
    """Measure settings (preset, hardware, n_cases) that the table lacks, smallest first; write each row at once."""
    for setting in sorted(settings, key=lambda setting: setting[2]):
        if setting in known_settings(results):
            continue
        print(*setting, flush=True)
        write_table(results, TABLE, [measure_one(*setting)])


def known_settings(results=RESULTS):
    """Return the settings that the table has: a set of (preset, hardware, n_cases)."""
    if not (Path(results) / f"{TABLE}.csv").exists():
        return set()
    return set(read_table(results, TABLE)[key_of(TABLE)].itertuples(index=False, name=None))


def interpolate(sizes, seconds, size):
    """Return the seconds of a size by the rule of the page: a straight line of log time over log size between rows.

    Beyond the rows the line through the two next to it goes on.
    """
    x, y = np.log(sizes), np.log(seconds)
    right = int(np.clip(np.searchsorted(x, np.log(size)), 1, len(x) - 1))
    slope = (y[right] - y[right - 1]) / (x[right] - x[right - 1])
    return float(np.exp(y[right] + slope * (np.log(size) - x[right])))


def in_words(seconds):
    """Return a duration as people say it, two or three digits of it."""
    for unit, length in (("h", 3600), ("min", 60)):
        if seconds >= 1.5 * length:
            return f"{seconds / length:.3g} {unit}"
    return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"


def report(results=RESULTS):
    """Return the page's text: the table, what it was measured on, the rule to interpolate and an example of it."""
    if not known_settings(results):
        return "The table is made by `python -m benchmarks.speed.sizes`. It was not measured for this version yet.\n"
    table = read_table(results, TABLE)
    kinds = [kind for kind in HARDWARE if (table["hardware"] == kind).any()]
    head = ["series", "preset", *(f"{TITLES[kind]}: fit, predict" for kind in kinds), "GB"]
    rows = [head, ["---"] * len(head)]
    for (n_cases, preset), part in table.groupby(["n_cases", "preset"]):
        part = part.set_index("hardware")
        times = [
            f"{in_words(part.loc[kind, 'fit_seconds'])}, {in_words(part.loc[kind, 'predict_seconds'])}"
            if kind in part.index
            else ""
            for kind in kinds
        ]
        rows.append([f"{n_cases:,}", f"`{preset}`", *times, f"{part['gigabytes'].max():.1f}"])
    lines = [f"| {' | '.join(row)} |" for row in rows]
    lines += ["", *(f"- {TITLES[kind]}: {'; '.join(_machines(table, kind))}." for kind in kinds)]
    return "\n".join(lines + _rule(table)) + "\n"


def _machines(table, kind):
    part = table[table["hardware"] == kind]
    return list(dict.fromkeys(f"{row.machine}, torch {row.torch}" for row in part.itertuples()))


def _rule(table):
    """Return lines with the exponents between neighbouring rows, which are the rule, and an example."""
    lines, example = [], None
    for (preset, kind), part in table.sort_values("n_cases").groupby(["preset", "hardware"], sort=False):
        sizes, seconds = part["n_cases"].to_numpy(), part["fit_seconds"].to_numpy()
        if len(sizes) < 2:
            continue
        slopes = np.diff(np.log(seconds)) / np.diff(np.log(sizes))
        lines.append(f"| `{preset}` | {TITLES[kind]} | {', '.join(f'{slope:.2f}' for slope in slopes)} |")
        if example is None:
            between = int(round(math.sqrt(sizes[0] * sizes[1]), -2))
            example = (
                f"For example, {between:,} series take `{preset}` ({TITLES[kind]}) about "
                f"{in_words(interpolate(sizes, seconds, between))}: {in_words(seconds[0])} x ({between:,} / "
                f"{sizes[0]:,})^{slopes[0]:.2f}."
            )
    if not lines:
        return []
    rule = (
        "Between two rows, the time of fit is the time of the smaller row times (series / series of that row)^e. "
        "Beyond the last row the last e goes on. The exponents e, from the smallest to the largest series:"
    )
    return ["", rule, "", "| preset | hardware | e |", "|---|---|---|", *lines, "", example]


def parse_arguments(arguments=None):
    """Return the parsed command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", nargs="+", type=int, default=list(N_CASES))
    parser.add_argument("--presets", nargs="+", default=list(PRESETS), choices=list(PRESETS))
    parser.add_argument("--hardware", nargs="+", default=list(HARDWARE), choices=list(HARDWARE))
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the table")
    parser.add_argument("--page", type=Path, default=PAGE, help="page that shows it")
    parser.add_argument("--report", action="store_true", help="measure nothing, write the page only")
    parser.add_argument("--measure", type=json.loads, help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def main(arguments=None):
    """Measure what is missing, print the table, write it to the page."""
    options = parse_arguments(arguments)
    if options.measure:
        print(json.dumps(measure(*options.measure)))
        return
    if not options.report:
        kinds = [kind for kind in options.hardware if kind != "gpu" or torch.cuda.is_available()]
        settings = [(preset, kind, n) for preset in options.presets for kind in kinds for n in options.cases]
        measure_all(settings, options.results)
    text = report(options.results)
    print(text)
    replace_block(options.page, TABLE, text)


if __name__ == "__main__":
    main()
