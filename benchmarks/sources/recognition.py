"""Measure the packaged acoustic models: as recognisers, and in cost.

python -m benchmarks.sources.recognition --speech FOLDER

A measurement is a file, and skipped if it is there or stands in the table, so a killed run goes on where it was;
`benchmarks.run.collect` puts the files into the table. No test split of time series is read.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch

from benchmarks.run.backends import set_threads
from benchmarks.run.once import Places, measure_once
from v2s_sklearn import list_acoustic_models, load_acoustic_model
from v2s_sklearn.pretrain.__main__ import RECIPES, evaluate_on_raw_audio
from v2s_sklearn.pretrain.datasets import DATASETS

CLIP_BATCH = 64
RIVAL = "v2sa"


def measure_source(name, speech):
    """Return accuracy and loss on the raw test audio of the model's own data, weights, and forward time of a clip."""
    model = load_acoustic_model(name)
    own_time, rival_time = forward_times(name, RIVAL)
    test = evaluate_on_raw_audio(model, DATASETS[RECIPES[name].dataset].read_test(speech))
    return {
        "dataset": RECIPES[name].dataset,
        "n_parameters": model.n_parameters(),
        "n_embedding": model.embed(torch.zeros(1, model.n_samples)).shape[1],
        "accuracy": test["accuracy"],
        "loss": test["loss"],
        "n_test": test["n"],
        "milliseconds": own_time,
        "milliseconds_v2sa": rival_time,
    }


@torch.no_grad()
def forward_times(*names, repeats=8):
    """Return the fastest time of a clip in milliseconds, embedding included, of models run in turn on 64 clips."""
    models = [load_acoustic_model(name) for name in names]
    generator = torch.Generator().manual_seed(0)
    clips = [0.1 * torch.randn(CLIP_BATCH, model.n_samples, generator=generator) for model in models]
    times = np.zeros((repeats + 1, len(names)))
    for row in times:
        for index, model in enumerate(models):
            started = time.perf_counter()
            model.embed(clips[index])
            row[index] = time.perf_counter() - started
    return 1000 * times[1:].min(axis=0) / CLIP_BATCH


def main(arguments=None):
    """Measure what is missing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--speech", type=Path, help="folder with the speech data")
    parser.add_argument("--sources", nargs="+", default=[name for name in list_acoustic_models() if name in RECIPES])
    parser.add_argument("--threads", type=int, default=1)
    Places.add_arguments(parser)
    options = parser.parse_args(arguments)
    set_threads(options.threads)
    for name in options.sources:
        measure_once(Places.of_options(options), "sources", {"source": name}, measure_source, name, options.speech)


if __name__ == "__main__":
    main()
