"""Draw the pictures of the front page: ``python docs/figures/landing.py`` writes the three sound-*.png here."""

from pathlib import Path

import matplotlib as mpl
import numpy as np
from aeon.datasets import load_gunpoint

from v2s_sklearn import V2SClassifier
from v2s_sklearn.inspection import ReprogrammedInputDisplay

NAMES = ("series", "voice", "spectrogram")


def main():
    """Fit V2Sa to the training split of GunPoint and draw one series, its waveform and its spectrogram, a file each."""
    mpl.use("agg")
    X, y = load_gunpoint(split="train")
    clf = V2SClassifier("v2sa", random_state=0).fit(X, y)
    display = ReprogrammedInputDisplay.from_estimator(clf, X[0])
    mpl.pyplot.close(display.figure_)

    seconds = np.arange(len(display.waveform)) / display.sample_rate
    shown = (seconds > 0.39) & (seconds < 0.42)
    figures = {name: mpl.figure.Figure(figsize=(3.7, 2.9), layout="constrained") for name in NAMES}
    series, voice, spectrogram = (figure.subplots() for figure in figures.values())
    series.plot(X[0, 0], color="#0072B2", linewidth=2)
    series.set(title="a series", xlabel="time point", yticks=[])
    voice.plot(1000 * seconds[shown], display.waveform[shown], color="#D55E00", linewidth=1)
    voice.set(title="a voice follows it (30 ms where it rises)", xlabel="ms", yticks=[])
    spectrogram.pcolormesh(display.frame_edges, display.band_edges, display.log_mel.T, cmap="cividis", rasterized=True)
    spectrogram.set(title="what the frozen model hears", xlabel="s", ylabel="Hz")
    for name, figure in figures.items():
        figure.savefig(Path(__file__).with_name(f"sound-{name}.png"), dpi=160, metadata={"Software": None})


if __name__ == "__main__":
    main()
