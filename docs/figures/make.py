"""Draw the pictures that are not in git: ``python docs/figures/make.py``; ``make docs`` does where they are missing.

On the training splits of data sets that aeon ships; each file is written beside this one.
"""

from pathlib import Path

import data_flow
import matplotlib as mpl
import numpy as np
from aeon.datasets import load_basic_motions, load_gunpoint, load_italy_power_demand
from PIL import Image

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


# Name of the thumbnail: figure, and the box (left, top, right, bottom) of a panel in it, in pixels.
PANELS = {
    "thumb-spectrogram": ("reprogrammed-input", (340, 511, 600, 645)),
    "thumb-waveform": ("reprogrammed-input-paper", (88, 348, 330, 460)),
    "thumb-importance": ("importance", (480, 22, 800, 190)),
}
PANELS_OF_SOUND = ("series", "voice", "spectrogram")


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
    draw_landing()
    cut_thumbnails()


def draw_landing():
    """Fit V2Sa to the training split of GunPoint and draw one series, its waveform and its spectrogram, a file each."""
    X, y = load_gunpoint(split="train")
    clf = V2SClassifier("v2sa", random_state=0).fit(X, y)
    display = ReprogrammedInputDisplay.from_estimator(clf, X[0])
    mpl.pyplot.close(display.figure_)

    seconds = np.arange(len(display.waveform)) / display.sample_rate
    shown = (seconds > 0.39) & (seconds < 0.42)
    figures = {name: mpl.figure.Figure(figsize=(3.7, 2.9), layout="constrained") for name in PANELS_OF_SOUND}
    series, voice, spectrogram = (figure.subplots() for figure in figures.values())
    series.plot(X[0, 0], color="#0072B2", linewidth=2)
    series.set(title="a series", xlabel="time point", yticks=[])
    voice.plot(1000 * seconds[shown], display.waveform[shown], color="#D55E00", linewidth=1)
    voice.set(title="a voice follows it (30 ms where it rises)", xlabel="ms", yticks=[])
    spectrogram.pcolormesh(display.frame_edges, display.band_edges, display.log_mel.T, cmap="cividis", rasterized=True)
    spectrogram.set(title="what the frozen model hears", xlabel="s", ylabel="Hz")
    for name, figure in figures.items():
        figure.savefig(FOLDER / f"sound-{name}.png", dpi=160, metadata={"Software": None})


def cut_thumbnails():
    """Cut one panel each out of figures, for the gallery."""
    for name, (figure, box) in PANELS.items():
        Image.open(FOLDER / f"{figure}.png").crop(box).save(FOLDER / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main()
