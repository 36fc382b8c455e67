"""
Listen to a series
==================

What a frozen model hears is a sound, so you can hear it as well.
"""

# sphinx_gallery_thumbnail_path = "figures/thumb-spectrogram.png"

import base64
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
from aeon.datasets import load_gunpoint

from v2s_sklearn import V2SClassifier
from v2s_sklearn.inspection import ReprogrammedInputDisplay, listen


class Player:
    """A sound that a page or a notebook plays."""

    def __init__(self, clf, x):
        with tempfile.TemporaryDirectory() as folder:
            self.wav = Path(listen(clf, x, f"{folder}/series.wav")).read_bytes()

    def _repr_html_(self):
        return f'<audio controls src="data:audio/wav;base64,{base64.b64encode(self.wav).decode()}"></audio>'


X, y = load_gunpoint(split="train")
clf = V2SClassifier("v2sa", random_state=0).fit(X, y)

# %%
# A voice that follows the series
# -------------------------------
# A series of GunPoint is the height of a hand that draws a gun or points. With V2Sa alone it becomes three voices of
# one second. The frequency of the first voice is 1500 Hz plus 500 Hz times the scaled series. So the height of the hand
# is a line in the spectrogram.
gun, point = X[y == "1"][0], X[y == "2"][0]
ReprogrammedInputDisplay.from_estimator(clf, gun)
plt.show()

# %%
# The three voices of this series, one after another: the series as frequency, its differences as frequency, the series
# as loudness of a buzz.
Player(clf, gun)

# %%
# And a series of the other class:
Player(clf, point)

# %%
# The input of the paper
# ----------------------
# In paper mode each time point is one sample, so that 150 points last a hundredth of a second. The series stands in
# the waveform ten times, and what fills the rest is theta, trained to make the model say the right word. It sounds
# like noise.
paper = V2SClassifier.icml2021(max_epochs=2, random_state=0).fit(X, y)
Player(paper, gun)

# %%
ReprogrammedInputDisplay.from_estimator(paper, gun)
plt.show()
