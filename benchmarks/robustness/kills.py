"""Kill the benchmark and the pretraining command at random moments and look at what they leave behind.

python -m benchmarks.robustness.kills --data-dir FOLDER --dataset ItalyPowerDemand --kills 20

Each command is started, killed with SIGKILL after a random time, and started again, until it has been killed so often
and then ends. Afterwards each file has to be whole, the weights those of a run that nobody killed, what was finished
before a kill still there: no more than the step in flight is lost. Ends non-zero where that is not so. The speech that
is trained on is made of tones.
"""

import argparse
import csv
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.paths import ROOT
from benchmarks.run.results import Result
from v2s_sklearn.acoustic.storage import load_weights
from v2s_sklearn.pretrain.checkpoints import read_history


def make_speech(folder):
    """Write clips of tones in the form of the spoken digits."""
    import soundfile

    rng = np.random.default_rng(0)
    time_axis, rows, clips = np.arange(8000) / 8000, [], []
    for index in range(120):
        word = index % 4
        clips.append(0.2 * np.sin(2 * np.pi * 300 * (1 + word) * time_axis) + 0.01 * rng.normal(size=8000))
        split = "test" if index >= 100 else "train"
        rows.append(
            {"word": str(word), "clip": index, "split": split, "start": 8000 * index, "stop": 8000 * (index + 1)}
        )
    soundfile.write(folder / "fsdd.opus", np.concatenate(clips), 8000, format="OGG", subtype="OPUS")
    with open(folder / "fsdd.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def run_killed(command, n_kills, longest, watch, random_state):
    """Run a command, killed again and again, to its end; return what ``watch`` said after each kill.

    Parameters
    ----------
    command : list of str
    n_kills : int
    longest : float
        Seconds until a kill, at most.
    watch : callable
        Returns how far the command has come.
    random_state : random.Random
    """
    progress = []
    while len(progress) < n_kills:
        # A group of its own, so that workers are killed, too.
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        try:
            process.wait(random_state.uniform(0, longest))
            break  # done before all kills
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        progress.append(watch())
        print(f"kill {len(progress)}: {progress[-1]} steps done", flush=True)
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return progress


def kill_pretraining(folder, n_kills, random_state):
    """Return the failures of the pretraining command that was killed."""
    speech = folder / "speech"
    speech.mkdir()
    make_speech(speech)

    def command(name):
        places = ["--speech", speech, "--output", folder / name, "--work-dir", folder / f"{name}-work"]
        return [sys.executable, "-m", "v2s_sklearn.pretrain", "v2sa-digits", *map(str, places), "--epochs", "30",
                "--threads", "1"]  # fmt: skip

    started = time.perf_counter()
    subprocess.run(command("whole"), check=True, stderr=subprocess.DEVNULL)
    seconds = time.perf_counter() - started
    work = folder / "killed-work" / "v2sa-digits"
    watch = lambda: len(read_history(work))  # noqa: E731
    progress = run_killed(command("killed"), n_kills, seconds / 2, watch, random_state)
    whole, killed = (load_weights(folder / name / "v2sa-digits.safetensors")[1] for name in ("whole", "killed"))
    failures = []
    if progress != sorted(progress):
        failures.append(f"pretraining lost finished epochs: {progress}")
    if whole != killed:
        failures.append("pretraining that was killed ended in other weights")
    left = sorted(path.name for path in [*work.iterdir(), *(folder / "killed").iterdir()] if "tmp" in path.name)
    print(f"pretraining: killed {len(progress)} times, the same weights: {whole == killed}, left behind: {left}")
    return failures


def kill_benchmark(folder, data_dir, dataset, n_kills, random_state):
    """Return the failures of the benchmark that was killed."""
    results = folder / "results"

    def command(folder, resamples):
        return [sys.executable, "-m", "benchmarks.run.classifiers", "--data-dir", str(data_dir), "--datasets", dataset,
                "--classifiers", "V2S", "--resamples", resamples, "--runs", str(folder), "--force"]  # fmt: skip

    def read(folder):
        return {path.name: Result.read(path).probabilities for path in sorted(folder.rglob("*.csv"))}

    started = time.perf_counter()
    subprocess.run(command(folder / "whole", "0"), cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    longest = 1.5 * (time.perf_counter() - started)
    progress = run_killed(command(results, f"0..{n_kills}"), n_kills, longest, lambda: len(read(results)), random_state)
    files = read(results)
    n_files, n_cases = len(files), {len(probabilities) for probabilities in files.values()}
    left = sorted(path.name for path in results.rglob(".*.v2s-tmp"))
    print(f"benchmark: killed {len(progress)} times, {n_files} files of {n_cases} cases, left behind: {left}")
    failures = []
    for name, probabilities in read(folder / "whole").items():
        if not np.array_equal(files.get(name), probabilities):
            failures.append(f"the benchmark that was killed has other predictions in {name}")
    if progress != sorted(progress):
        failures.append(f"the benchmark lost finished runs: {progress}")
    if n_files != n_kills + 1 or len(n_cases) != 1:
        failures.append(f"the benchmark left {n_files} files of {n_cases} cases, needed {n_kills + 1} of one length")
    return failures


def main(arguments=None):
    """Kill both commands; return the number of failures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=Path, required=True, help="folder with <Name>/<Name>_TRAIN.ts and _TEST.ts")
    parser.add_argument("--dataset", default="ItalyPowerDemand")
    parser.add_argument(
        "--commands", nargs="+", choices=["pretraining", "benchmark"], default=["pretraining", "benchmark"]
    )
    parser.add_argument("--kills", type=int, default=20, help="of each command")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    options = parser.parse_args(arguments)
    random_state = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as folder:
        folder, failures = Path(folder), []
        if "pretraining" in options.commands:
            failures += kill_pretraining(folder, options.kills, random_state)
        if "benchmark" in options.commands:
            failures += kill_benchmark(folder, options.data_dir.resolve(), options.dataset, options.kills, random_state)
    print("\n".join(failures) or "no failures")
    return len(failures)


if __name__ == "__main__":
    raise SystemExit(main() > 0)
