"""Compare the packaged acoustic models: as recognisers, in cost, and as sources for time series.

python benchmarks/sources.py --speech FOLDER [--docs]

Each measurement is written to a file of its own under --results and skipped if it is there, so a killed run goes on
where it was. How well time series are classified comes from ranking.csv: cross-validation on training splits; no test
split was read. --docs puts the table into docs/acoustic_models.md.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from report import replace_block
from run import set_threads

from v2s_sklearn import list_acoustic_models, load_acoustic_model
from v2s_sklearn.acoustic.storage import write_atomically
from v2s_sklearn.pretrain.__main__ import RECIPES, evaluate_on_raw_audio
from v2s_sklearn.pretrain.datasets import DATASETS

ROOT = Path(__file__).parent
DOCS = ROOT.parent / "docs" / "acoustic_models.md"
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


def measure_once(path, function, *arguments):
    """Return the measurement in a file, made and written if there is none."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        result = function(*arguments)
        print(path.stem, {k: round(v, 4) if isinstance(v, float) else v for k, v in result.items()}, flush=True)
        write_atomically(path, json.dumps(result, indent=1).encode())
    return json.loads(path.read_text())


def make_table(rows):
    """Return the measurements as a table in Markdown."""
    lines = [
        "| source | trained on | accuracy | loss | weights | embedding | ms a clip | as v2sa | default | paper mode |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        lines.append(
            f"| {row['name']} | {row['dataset']} | {100 * row['accuracy']:.2f} | {row['loss']:.3f} "
            f"| {row['n_parameters']:,} | {row['n_embedding']:,} | {row['milliseconds']:.2f} "
            f"| {row['milliseconds'] / row['milliseconds_v2sa']:.1f} x | {100 * row['default']:.1f} "
            f"| {100 * row['paper']:.1f} |"
        )
    return "\n".join(lines) + "\n"


def main():
    """Measure what is missing, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--speech", type=Path, help="folder with the speech data")
    parser.add_argument("--results", type=Path, default=ROOT / "results" / "sources")
    parser.add_argument("--sources", nargs="+", default=[name for name in list_acoustic_models() if name in RECIPES])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--docs", action="store_true", help="put the table into docs/acoustic_models.md")
    options = parser.parse_args()
    set_threads(options.threads)
    ranking = pd.read_csv(options.results.parent / "ranking.csv").groupby("source")[["default", "paper"]].mean()
    rows = [
        {"name": name}
        | measure_once(options.results / f"{name}.json", measure_source, name, options.speech)
        | ranking.loc[name].to_dict()
        for name in options.sources
    ]
    table = make_table(rows)
    print(table)
    if options.docs:
        replace_block(DOCS, "sources", table)


if __name__ == "__main__":
    main()
