"""Benchmark runs by the workers of joblib and of a dask cluster of two processes, some of them killed."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import aeon.datasets
import pytest
from dask.distributed import Client, LocalCluster

from benchmarks.run import backends, classifiers, one

DATA = Path(aeon.datasets.__file__).parent / "data"
N_RUNS = 4


@pytest.fixture
def data(tmp_path):
    """One good data set and one that fails."""
    folder = tmp_path / "data"
    (folder / "Broken").mkdir(parents=True)
    (folder / "Broken" / "Broken_TRAIN.ts").write_text("nonsense")
    (folder / "ItalyPowerDemand").symlink_to(DATA / "ItalyPowerDemand")
    return folder


def arguments(folder, *more):
    options = ["--data-dir", str(DATA), "--datasets", "ItalyPowerDemand", "--classifiers", "QUANT"]
    return [*options, "--runs", str(folder), "--results", str(folder / "tables"), *more]


def without_costs(path):
    """Return the lines of a result file without the line that has times and memory."""
    lines = path.read_text().splitlines()
    return [*lines[:2], lines[2].split(",")[0], *lines[3:]]


def assert_same_as_serial(folder, n_runs):
    paths = sorted(folder.rglob("testResample*"), key=lambda path: int(path.stem[len("testResample") :]))
    assert [path.name for path in paths] == [f"testResample{resample}.csv" for resample in range(n_runs)]
    for resample, path in enumerate(paths):
        serial = folder / "serial.csv"
        one.test_run("QUANT", "ItalyPowerDemand", resample, 0, DATA).write(serial)
        assert without_costs(path) == without_costs(serial)


def test_a_killed_worker_of_a_cluster_loses_nothing(data, tmp_path, capsys):
    results = tmp_path / "results"
    options = ["--data-dir", str(data), "--datasets", "ItalyPowerDemand", "Broken", "--resamples", f"0..{N_RUNS - 1}"]
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster) as client:
        options += ["--backend", "dask", "--scheduler", cluster.scheduler_address]
        failed = []
        thread = threading.Thread(target=lambda: failed.append(classifiers.main(arguments(results, *options))))
        thread.start()
        while thread.is_alive() and not list(results.rglob("*.csv")):
            time.sleep(0.01)
        pids = client.run(os.getpid)
        killed = next(address for address, keys in client.processing().items() if keys)
        os.kill(pids[killed], signal.SIGKILL)
        at_the_kill = {path: path.stat().st_mtime_ns for path in results.rglob("*.csv")}
        thread.join()
        assert len(at_the_kill) < N_RUNS
        assert pids[killed] not in client.run(os.getpid).values()
    assert failed == [N_RUNS]
    printed = capsys.readouterr().out
    assert printed.count("QUANT ItalyPowerDemand") == printed.count(" accuracy 0.9") == N_RUNS
    assert printed.count("QUANT Broken") == printed.count(" FAILED ") == N_RUNS
    assert all(path.stat().st_mtime_ns == written for path, written in at_the_kill.items())
    assert_same_as_serial(results, N_RUNS)


def test_runs_over_loky(data, tmp_path, capsys):
    options = ["--data-dir", str(data), "--resamples", "0..1", "--backend", "loky", "--jobs", "2"]
    broken = ["--datasets", "ItalyPowerDemand", "Broken"]
    assert classifiers.main(arguments(tmp_path / "results", *options, *broken)) == 2
    printed = capsys.readouterr().out
    assert "QUANT Broken resample 0 seed 0: FAILED" in printed and "[4/4]" in printed
    assert_same_as_serial(tmp_path / "results", 2)
    assert classifiers.main(arguments(tmp_path / "results", *options)) == 0
    assert capsys.readouterr().out == ""


def make_task(folder):
    # Defined here, so that it travels by value: the workers cannot import this file.
    def task(name, n_kills):
        for kill in range(n_kills):
            marker = folder / f"{name}-{kill}"
            if not marker.exists():
                marker.touch()
                os.kill(os.getpid(), signal.SIGKILL)
        if name == "error":
            raise ValueError("as asked")
        return name

    return task


def test_loky_begins_again_what_a_killed_worker_lost(tmp_path):
    tasks = {index: (f"task{index}", int(index == 1)) for index in range(4)} | {4: ("error", 0)}
    outcomes = dict(backends.loky_workers(make_task(tmp_path), tasks, 2))
    assert isinstance(outcomes.pop(4), ValueError)
    assert outcomes == {index: f"task{index}" for index in range(4)}
    assert len(list(tmp_path.iterdir())) == 1


def test_loky_gives_up_a_run_that_kills_each_worker(tmp_path):
    outcomes = dict(backends.loky_workers(make_task(tmp_path), {0: ("killer", 99)}, 2))
    assert "worker" in str(outcomes[0]) and len(list(tmp_path.iterdir())) == backends.N_LOSSES + 1


def test_dask_gives_up_only_the_run_that_kills_each_worker(tmp_path):
    tasks = {index: (f"task{index}", 0) for index in range(4)} | {4: ("killer", 99), 5: ("error", 0)}
    outcomes = dict(backends.dask_workers(make_task(tmp_path), tasks, 2))
    assert type(outcomes.pop(4)).__name__ == "KilledWorker"
    assert isinstance(outcomes.pop(5), ValueError)
    assert outcomes == {index: f"task{index}" for index in range(4)}
    assert len(list(tmp_path.iterdir())) == 2 * (backends.N_LOSSES + 1)


def test_workers_that_lack_our_code_import_what_they_are_sent(tmp_path):
    path = backends.zip_of_our_code(tmp_path)
    code = f"import sys; sys.path.insert(0, {str(path)!r}); from benchmarks.run import results; print(results.__file__)"
    printed = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True, cwd="/")
    assert printed.stdout.startswith(str(path))


def test_a_result_made_on_another_file_system_is_written_here(tmp_path, monkeypatch):
    """The worker's files lie elsewhere: only what it returns arrives."""

    def elsewhere(plan, options):
        for path, (name, dataset, resample, seed) in plan.items():
            yield path, one.test_run(name, dataset, resample, seed, DATA)

    monkeypatch.setattr(classifiers, "make_runs", elsewhere)
    assert classifiers.main(arguments(tmp_path)) == 0
    assert_same_as_serial(tmp_path, 1)


def test_ranges_of_resamples(tmp_path, capsys):
    def resamples(*values):
        return classifiers.parse_arguments(arguments(tmp_path, "--resamples", *values)).resamples

    assert resamples("0..29") == list(range(30))
    assert resamples("7", "2..4", "3..5") == [7, 2, 3, 4, 5]
    assert classifiers.parse_arguments(arguments(tmp_path)).resamples == [0]
    for wrong in ("4..2", "1..", "x", "-1", "1-3"):
        with pytest.raises(SystemExit):
            resamples(wrong)
    assert "'1-3' is neither a number nor a range such as 0..29" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        classifiers.parse_arguments(arguments(tmp_path, "--scheduler", "tcp://127.0.0.1:8786"))
    assert "--scheduler needs --backend dask" in capsys.readouterr().err
