"""What does speech bring? Each source with trained weights, with random ones, and trained on contours of noise.

python -m benchmarks.sources.controls --data-dir FOLDER [--noise v2sc=FILE]

On training splits only. The embeddings are fitted, without labels, to the cases of a training split, once; the head is
fitted on four fifths of them and scored on the rest (5 folds), and on 2, 5 or 10 random cases of each class (four
draws). Random weights are those that an architecture starts from; its normalisations take the statistics of tones whose
frequency is a random walk. Each measurement is written to a file of its own and skipped if it is there or stands in the
table; `benchmarks.run.collect` puts the files into the table.
"""

import argparse
import itertools
import json
from pathlib import Path

import numpy as np
import torch
from aeon.datasets import load_classification
from safetensors import safe_open
from sklearn.model_selection import StratifiedKFold

from benchmarks.run.backends import set_threads
from benchmarks.run.once import Places, measure_once
from v2s_sklearn import list_acoustic_models, load_acoustic_model
from v2s_sklearn.acoustic.networks.contour import z_normalise
from v2s_sklearn.acoustic.storage import HEADER_KEY, WEIGHTS_DIR, architecture_class
from v2s_sklearn.mapping.mappings import LinearMapping
from v2s_sklearn.network.inference import compute_embeddings
from v2s_sklearn.network.reprogrammed import reprogram
from v2s_sklearn.views import DEFAULT_SOURCES

PACKAGED = [name for name in list_acoustic_models() if (WEIGHTS_DIR / f"{name}.safetensors").exists()]
ROWS = {"default": DEFAULT_SOURCES} | {name: (name,) for name in PACKAGED}
N_FOLDS, N_DRAWS, CASES_A_CLASS = 5, 4, (2, 5, 10)
N_TONES = 256


def random_walks(n_series, n_points, generator):
    """Return z-normalised random walks, (n_series, n_points)."""
    return z_normalise(torch.randn(n_series, n_points, generator=generator).cumsum(1))


def with_random_weights(name, seed):
    """Return a packaged model as it was before training, frozen, its normalisations fitted to tones."""
    with safe_open(WEIGHTS_DIR / f"{name}.safetensors", framework="pt") as file:
        header = json.loads(file.metadata()[HEADER_KEY])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = architecture_class(header["architecture"])(**header["config"])
    generator = torch.Generator().manual_seed(seed)
    if hasattr(model, "store_statistics"):
        model.store_statistics(random_walks(N_TONES, model.n_points, generator))
    norms = [module for module in model.modules() if isinstance(module, torch.nn.modules.batchnorm._BatchNorm)]
    if norms:
        frequency = 1500 + 500 * random_walks(N_TONES, model.n_samples, generator)
        tones = 0.1 * torch.sin(2 * torch.pi * (frequency / model.sample_rate).cumsum(1))
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # the mean over all batches
        model.train()
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            for batch in tones.split(32):
                model(batch)
    return model.freeze()


def make_models(names, variant, noise):
    """Return the sources of a row as "trained", "random 0", "random 1" or "noise"; None where there is no such file."""
    if variant == "trained":
        return [load_acoustic_model(name) for name in names]
    if variant == "noise":
        if not set(names) & set(noise):
            return None
        return [load_acoustic_model(noise.get(name, name)) for name in names]
    return [with_random_weights(name, int(variant.split()[1])) for name in names]


def embed(models, X):
    """Return the embeddings of series (N, D), and the views that the mapping stacks."""
    device = torch.device("cpu")
    _, batch, network = reprogram(models, X, max_channels=16, standardize=True, device=device)
    return compute_embeddings(network, batch, device), network.blocks()


def splits(labels, cases_a_class):
    """Yield training and test cases: folds if ``cases_a_class`` is None, else random draws of so many of each class."""
    counts = np.bincount(labels)
    if cases_a_class is None:
        n_folds = max(2, min(N_FOLDS, counts.min()))
        yield from StratifiedKFold(n_folds, shuffle=True, random_state=0).split(labels, labels)
    elif counts.max() > cases_a_class:
        for draw in range(N_DRAWS):
            random_state = np.random.RandomState(draw)
            train = [random_state.permutation(np.flatnonzero(labels == label))[:cases_a_class] for label in set(labels)]
            train = np.sort(np.concatenate(train))
            yield train, np.setdiff1d(np.arange(len(labels)), train)


def score(embeddings, groups, labels, cases_a_class):
    """Return accuracy and log loss over the test cases of all splits; empty where there are none."""
    correct, losses = [], []
    for train, test in splits(labels, cases_a_class):
        mapping = LinearMapping(groups, len(np.unique(labels)))
        mapping.solve(embeddings[train], labels[train], np.ones(len(train)))
        log_probabilities = mapping(torch.from_numpy(embeddings[test])).detach().numpy()
        correct.extend(log_probabilities.argmax(axis=1) == labels[test])
        losses.extend(-log_probabilities[np.arange(len(test)), labels[test]])
    return {"accuracy": float(np.mean(correct)), "log_loss": float(np.mean(losses))} if correct else {}


def measure(names, variant, noise, data_dir, dataset, most_cases):
    """Return the scores of a row's variant on one training split; of 2 cases a class they are named ``..._2``."""
    X, y = load_classification(dataset, split="train", extract_path=data_dir)
    chosen = np.sort(np.random.RandomState(0).permutation(len(X))[:most_cases])
    labels = np.unique(np.asarray(y)[chosen], return_inverse=True)[1]
    embeddings, groups = embed(make_models(names, variant, noise), [X[index] for index in chosen])
    scores = {}
    for regime in (None, *CASES_A_CLASS):
        suffix = f"_{regime}" if regime else ""
        found = score(embeddings, groups, labels, regime)
        scores |= {f"{name}{suffix}": found.get(name) for name in ("accuracy", "log_loss")}
    return scores


def main(arguments=None):
    """Measure what is missing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=Path, required=True, help="folder with data sets in aeon's layout")
    parser.add_argument("--datasets", nargs="+", help="by default all in the folder")
    parser.add_argument("--rows", nargs="+", default=list(ROWS), choices=list(ROWS))
    parser.add_argument("--variants", nargs="+", default=["trained", "random 0", "random 1", "noise"])
    parser.add_argument("--noise", nargs="*", default=[], metavar="SOURCE=FILE", help="weights trained on noise")
    parser.add_argument("--most-cases", type=int, default=100, help="of a data set, drawn at random")
    Places.add_arguments(parser)
    options = parser.parse_args(arguments)
    set_threads(1)
    noise = dict(pair.split("=", 1) for pair in options.noise)
    datasets = options.datasets or sorted(folder.name for folder in options.data_dir.iterdir() if folder.is_dir())
    for row, variant, dataset in itertools.product(options.rows, options.variants, datasets):
        if variant == "noise" and not set(ROWS[row]) & set(noise):
            continue
        measure_once(
            Places.of_options(options),
            "controls",
            {"source": row, "weights": variant, "dataset": dataset},
            measure,
            ROWS[row],
            variant,
            noise,
            options.data_dir,
            dataset,
            options.most_cases,
        )


if __name__ == "__main__":
    main()
