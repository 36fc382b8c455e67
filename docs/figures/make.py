"""Draw the pictures that are not in git: ``python docs/figures/make.py``; ``make docs`` does where they are missing.

On the training splits of data sets that aeon ships; each file is written beside this one.
"""

from pathlib import Path

import data_flow
import landing
import matplotlib as mpl
import numpy as np
import thumbnails
from aeon.datasets import load_basic_motions, load_gunpoint, load_italy_power_demand

from v2s_sklearn import TransferClassifier, V2SClassifier
from v2s_sklearn.alignment import AlignmentHistory
from v2s_sklearn.inspection import (
    AttentionDisplay,
    EmbeddingDisplay,
    LabelMappingDisplay,
    ReprogrammedInputDisplay,
    SaliencyDisplay,
    TrainingDisplay,
    ViewsDisplay,
    importance,
)

FOLDER = Path(__file__).parent
SETTINGS = {"max_epochs": 30, "random_state": 0, "early_stopping": True, "validation_fraction": 0.3}


def save(display, name):
    """Write a figure as a small file."""
    display.figure_.savefig(FOLDER / f"{name}.png", dpi=100, metadata={"Software": None})
    mpl.pyplot.close(display.figure_)


def main():
    """Fit some estimators and draw."""
    mpl.use("agg")
    X, y = load_gunpoint(split="train")
    default = V2SClassifier(random_state=0).fit(X, y)
    save(ReprogrammedInputDisplay.from_estimator(default, X[0]), "reprogrammed-input")
    save(AttentionDisplay.from_estimator(default, X[0]), "attention")
    save(SaliencyDisplay.from_estimator(default, X[0], y[0], source="v2sc"), "saliency")
    save(LabelMappingDisplay.from_estimator(default), "shares")
    save(EmbeddingDisplay.from_estimator(default, X, y), "embedding")
    save(EmbeddingDisplay.from_estimator(default, X, y, n_components=3), "embedding-3d")
    transfer = TransferClassifier(max_epochs=20, random_state=0).fit(X, y)
    save(EmbeddingDisplay.from_estimator(transfer, X, y), "embedding-transfer")
    occlusion = {"importance": np.mean(importance(default, X[:1], y[:1]), axis=(0, 1))}
    save(SaliencyDisplay(X[0], occlusion, f"occlusion: what speaks for class {y[0]}").plot(), "importance")

    X, y = load_italy_power_demand(split="train")
    paper = V2SClassifier.icml2021(callbacks=[AlignmentHistory()], n_iter_no_change=30, **SETTINGS).fit(X, y)
    save(ReprogrammedInputDisplay.from_estimator(paper, X[0]), "reprogrammed-input-paper")
    save(TrainingDisplay.from_estimator(paper), "training")
    save(LabelMappingDisplay.from_estimator(paper), "words")

    X, y = load_basic_motions(split="train")
    save(ViewsDisplay.from_estimator(V2SClassifier(random_state=0).fit(X, y), X[0]), "views")

    data_flow.main()
    landing.main()
    thumbnails.main()


if __name__ == "__main__":
    main()
