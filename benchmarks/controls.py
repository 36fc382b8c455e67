"""What does speech bring? Each source with trained weights, with random ones, and trained on contours of noise.

python benchmarks/controls.py --data-dir FOLDER [--noise v2sc=FILE] [--docs]

On training splits only. The embeddings are fitted, without labels, to the cases of a training split, once; the head is
fitted on four fifths of them and scored on the rest (5 folds), and on 2, 5 or 10 random cases of each class (four
draws). Random weights are those that an architecture starts from; its normalisations take the statistics of tones whose
frequency is a random walk. Each measurement is written to a file of its own and skipped if it is there.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from aeon.datasets import load_classification
from report import replace_block
from run import set_threads
from safetensors import safe_open
from scipy.stats import wilcoxon
from sklearn.model_selection import StratifiedKFold
from sources import measure_once

from v2s_sklearn import list_acoustic_models, load_acoustic_model
from v2s_sklearn.acoustic.networks.contour import z_normalise
from v2s_sklearn.acoustic.storage import HEADER_KEY, WEIGHTS_DIR, architecture_class
from v2s_sklearn.mapping.mappings import LinearMapping
from v2s_sklearn.network.inference import compute_embeddings
from v2s_sklearn.network.reprogrammed import ReprogrammedModel
from v2s_sklearn.series.scaling import SeriesScaler
from v2s_sklearn.views import DEFAULT_SOURCES, plan_views

ROOT = Path(__file__).parent
DOCS = ROOT.parent / "docs" / "speech.md"
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
    plan = plan_views(models, n_channels=min(X[0].shape[0], 16))
    scaler = SeriesScaler(True, plan.max_points, 16).fit(X)
    data = scaler.transform(X)
    network = ReprogrammedModel([view.fit(**data) for view in plan.views])
    return compute_embeddings(network, data, torch.device("cpu")), network.blocks()


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
    """Return the scores of a row's variant on one training split, by regime."""
    X, y = load_classification(dataset, split="train", extract_path=data_dir)
    chosen = np.sort(np.random.RandomState(0).permutation(len(X))[:most_cases])
    labels = np.unique(np.asarray(y)[chosen], return_inverse=True)[1]
    embeddings, groups = embed(make_models(names, variant, noise), [X[index] for index in chosen])
    return {str(regime): score(embeddings, groups, labels, regime) for regime in (None, *CASES_A_CLASS)}


def summarise(results, regime):
    """Return accuracy (%) and log loss over the data sets that have this regime, one array of shape (sets, 2)."""
    found = [result[str(regime)] for result in results.values()]
    return np.array([(100 * each["accuracy"], each["log_loss"]) if each else (np.nan, np.nan) for each in found])


def make_table(rows):
    """Return the rows {row: {variant: {dataset: measurement}}} as a table in Markdown."""
    lines = ["| source | weights | 5 folds | 2 a class | 5 a class | 10 a class |", "|---|---|---|---|---|---|"]
    for row, variants in rows.items():
        for variant, results in variants.items():
            cells = []
            for regime in (None, *CASES_A_CLASS):
                scores = summarise(results, regime)
                cell = "{:.2f} ({:.3f})".format(*np.nanmean(scores, axis=0))
                if variant != "trained":
                    lead = (summarise(variants["trained"], regime) - scores)[:, 0]
                    lead = lead[~np.isnan(lead)]
                    p = wilcoxon(lead).pvalue if lead.any() else 1.0
                    cell += f", trained {lead.mean():+.2f} (p {p:.2g})"
                cells.append(cell)
            lines.append(f"| {row} | {variant} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main():
    """Measure what is missing, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=Path, required=True, help="folder with data sets in aeon's layout")
    parser.add_argument("--datasets", nargs="+", help="by default all in the folder")
    parser.add_argument("--rows", nargs="+", default=list(ROWS), choices=list(ROWS))
    parser.add_argument("--variants", nargs="+", default=["trained", "random 0", "random 1", "noise"])
    parser.add_argument("--noise", nargs="*", default=[], metavar="SOURCE=FILE", help="weights trained on noise")
    parser.add_argument("--most-cases", type=int, default=100, help="of a data set, drawn at random")
    parser.add_argument("--results", type=Path, default=ROOT / "results" / "controls")
    parser.add_argument("--docs", action="store_true", help="put the table into docs/speech.md")
    options = parser.parse_args()
    set_threads(1)
    noise = dict(pair.split("=", 1) for pair in options.noise)
    datasets = options.datasets or sorted(folder.name for folder in options.data_dir.iterdir() if folder.is_dir())
    rows = {}
    for row in options.rows:
        rows[row] = {}
        for variant in options.variants:
            if variant == "noise" and not set(ROWS[row]) & set(noise):
                continue
            rows[row][variant] = {
                dataset: measure_once(
                    options.results / f"{row}-{variant.replace(' ', '-')}-{dataset}.json",
                    measure,
                    ROWS[row],
                    variant,
                    noise,
                    options.data_dir,
                    dataset,
                    options.most_cases,
                )
                for dataset in datasets
            }
    table = make_table(rows)
    print(table)
    if options.docs:
        replace_block(DOCS, "controls", table)


if __name__ == "__main__":
    main()
