"""Draw the picture of the front page: ``python docs/figures/landing.py`` writes series-to-sound.png here."""

from pathlib import Path

import matplotlib as mpl
import numpy as np
from aeon.datasets import load_gunpoint

from v2s_sklearn import V2SClassifier
from v2s_sklearn.inspection import ReprogrammedInputDisplay


def main():
    """Fit V2Sa to the training split of GunPoint and draw one series, its waveform and its spectrogram."""
    mpl.use("agg")
    X, y = load_gunpoint(split="train")
    clf = V2SClassifier("v2sa", random_state=0).fit(X, y)
    display = ReprogrammedInputDisplay.from_estimator(clf, X[0])
    mpl.pyplot.close(display.figure_)

    figure, axes = mpl.pyplot.subplots(1, 3, figsize=(11, 2.9), layout="constrained")
    axes[0].plot(X[0, 0], color="#0072B2", linewidth=2)
    axes[0].set(title="a series", xlabel="time point", yticks=[])
    seconds = np.arange(len(display.waveform)) / display.sample_rate
    shown = (seconds > 0.39) & (seconds < 0.42)
    axes[1].plot(1000 * seconds[shown], display.waveform[shown], color="#D55E00", linewidth=1)
    axes[1].set(title="the voice it steers (30 ms where it rises)", xlabel="ms", yticks=[])
    axes[2].pcolormesh(display.frame_edges, display.band_edges, display.log_mel.T, cmap="cividis", rasterized=True)
    axes[2].set(title="what the frozen model hears", xlabel="s", ylabel="Hz")
    figure.savefig(Path(__file__).with_name("series-to-sound.png"), dpi=110, metadata={"Software": None})


if __name__ == "__main__":
    main()
