"""Figures as they were when they were last looked at, with a tolerance, from made-up values.

``python tests/inspection/test_images.py FOLDER`` draws them anew into a folder and the archive, after a change that is
meant to change them; look at each.
"""

import sys
import zipfile
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.testing.compare import compare_images

from v2s_sklearn.inspection import (
    AttentionDisplay,
    EmbeddingDisplay,
    LabelMappingDisplay,
    ReprogrammedInputDisplay,
    SaliencyDisplay,
    TrainingDisplay,
    ViewsDisplay,
)

BASELINE = Path(__file__).with_name("baseline.zip")
# Root mean square of the differences in grey levels; other versions of matplotlib and FreeType place text otherwise.
TOLERANCE = 12


def series(n_channels, n_points):
    time = np.linspace(0, 6, n_points)
    return np.stack([np.sin(time * (1 + channel / 3) + channel) for channel in range(n_channels)])


def reprogrammed():
    points = np.full(1600, np.nan)
    points[400:520] = np.arange(120)
    time = np.arange(1600)
    waveform = np.where(np.isnan(points), 0.05 * np.sin(time * 1.3), 0.2)
    log_mel = np.add.outer(np.sin(np.arange(9)), np.cos(np.arange(12) / 3))
    edges = np.linspace(0.01, 0.09, 10), np.linspace(50, 4000, 13)
    return ReprogrammedInputDisplay(series(1, 120), np.sin(time), waveform, points, log_mel, *edges, title="source")


def attention(n_channels, n_points, n_waveforms):
    weights = 1 + np.cos(np.add.outer(np.arange(n_waveforms), np.linspace(0, 9, n_points)))
    return AttentionDisplay(series(n_channels, n_points), weights / weights.sum(1, keepdims=True), 0.25, "source")


def saliency():
    maps = {f"source: layer {k}": np.sin(np.arange(24) / (k + 1)) for k in range(4)} | {"silent": np.zeros(24)}
    return SaliencyDisplay(series(2, 24), maps, "what speaks for class 1")


def embedding(n_classes, n_components):
    y = np.arange(120) % n_classes
    angle = np.arange(120) * 2.4
    points = np.stack([np.cos(angle), np.sin(angle), angle / 100][:n_components], axis=1) * np.sqrt(1 + y)[:, None]
    return EmbeddingDisplay({"before": points[::-1], "after": points}, y)


def training(n_epochs, parts):
    epochs = np.arange(n_epochs)
    values = {"loss": np.exp(-epochs / 5), "acc": 1 - 0.5 * np.exp(-epochs / 5), "swd": 3 + np.cos(epochs / 3)}
    return TrainingDisplay(
        {f"{part}_{name}": v + (part == "valid") * 0.1 for part in parts for name, v in values.items()}
    )


def words(n_classes, n_words):
    return LabelMappingDisplay(
        [f"class {k}" for k in range(n_classes)],
        words=[[f"word{k}-{w}" for w in range(n_words)] for k in range(n_classes)],
    )


def shares():
    views = {"v2sa: modulation": 0.5, "wav2vec: playback": 0.3, "v2sc: contour": 0.2}
    return LabelMappingDisplay(["1", "2"], view_shares=views, layer_shares={f"layer {k}": 0.2 for k in range(5)})


def views(n_channels, n_classes):
    lines = np.concatenate([series(n_channels, 60) * k for k in (1, 2)])
    log_mel = np.add.outer(np.sin(np.arange(9)), np.cos(np.arange(12) / 3))
    heard = [
        {"title": "first: playback", "lines": lines, "names": ("series", "differences")},
        {"title": "second: modulation", "log_mel": (log_mel, np.linspace(0, 1, 10), np.linspace(0, 4000, 13))},
    ]
    said = [{f"class {k}": float(np.cos(k + view)) for k in range(n_classes)} for view in range(2)]
    return ViewsDisplay(heard, said, "added to the decision (nats)", "all views together: class 1, probability 0.90")


FIGURES = {
    "reprogrammed": reprogrammed,
    "attention-short": lambda: attention(1, 24, 1),
    "attention-long-multivariate": lambda: attention(6, 1500, 4),
    "attention-many-channels": lambda: attention(20, 100, 20),
    "saliency": saliency,
    "embedding-2-classes": lambda: embedding(2, 2),
    "embedding-40-classes": lambda: embedding(40, 2),
    "embedding-3d": lambda: embedding(3, 3),
    "training": lambda: training(5, ["train"]),
    "training-validation": lambda: training(100, ["train", "valid"]),
    "words-2-classes": lambda: words(2, 18),
    "words-40-classes": lambda: words(40, 1),
    "shares": shares,
    "views-2-classes": lambda: views(1, 2),
    "views-40-classes-multivariate": lambda: views(4, 40),
}


def draw(name, path):
    """Draw one figure to a file."""
    mpl.use("agg", force=True)
    from matplotlib import pyplot

    with mpl.rc_context({**mpl.rcParamsDefault, "backend": "agg"}):
        display = FIGURES[name]().plot()
        display.figure_.savefig(path, dpi=40, metadata={"Software": None})
        pyplot.close(display.figure_)


@pytest.mark.parametrize("name", FIGURES)
def test_figure(name, tmp_path):
    draw(name, tmp_path / f"{name}.png")
    with zipfile.ZipFile(BASELINE) as baseline:
        expected = baseline.extract(f"{name}.png", tmp_path / "expected")
    difference = compare_images(expected, str(tmp_path / f"{name}.png"), tol=TOLERANCE)
    assert difference is None, difference


def test_another_figure_is_told_apart(tmp_path):
    draw("attention-short", tmp_path / "one.png")
    AttentionDisplay(-series(1, 24), np.full((1, 24), 1 / 24)).plot().figure_.savefig(tmp_path / "two.png", dpi=40)
    assert compare_images(str(tmp_path / "one.png"), str(tmp_path / "two.png"), tol=TOLERANCE) is not None


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(exist_ok=True)
    with zipfile.ZipFile(BASELINE, "w") as archive:
        for figure in FIGURES:
            draw(figure, folder / f"{figure}.png")
            archive.write(folder / f"{figure}.png", f"{figure}.png")
