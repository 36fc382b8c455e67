"""
Classify many channels and unequal lengths
==========================================

Nothing has to be set for either: channels are scaled and decorrelated, and the series of a list may have any lengths.
"""

# sphinx_gallery_thumbnail_number = 2

import matplotlib.pyplot as plt
from aeon.datasets import load_basic_motions, load_japanese_vowels

from v2s_sklearn import V2SClassifier
from v2s_sklearn.inspection import ViewsDisplay

# %%
# Six channels
# ------------
# BasicMotions: an accelerometer and a gyroscope of a wrist, four activities.
X_train, y_train = load_basic_motions(split="train")
X_test, y_test = load_basic_motions(split="test")
print("(n_cases, n_channels, n_timepoints):", X_train.shape)
clf = V2SClassifier(random_state=0).fit(X_train, y_train)
print(f"test accuracy {clf.score(X_test, y_test):.3f}")

# %%
# What each of the four frozen sources gets from one case, and what it adds to the decision for each class.
ViewsDisplay.from_estimator(clf, X_test[0])
plt.show()

# %%
# Unequal length
# --------------
# JapaneseVowels: twelve coefficients of speech, at most 29 points, nine speakers. aeon loads a list of arrays
# ``(n_channels, n_timepoints_i)``.
X_train, y_train = load_japanese_vowels(split="train")
X_test, y_test = load_japanese_vowels(split="test")
lengths = [case.shape[1] for case in X_train]
print(len(X_train), "series of", min(lengths), "to", max(lengths), "points")
fast = V2SClassifier.fast(random_state=0).fit(X_train, y_train)
print(f"test accuracy {fast.score(X_test, y_test):.3f}")

# %%
# The length itself can tell the class. Zeros behind a shorter series keep its length.
figure, ax = plt.subplots(figsize=(6, 3), layout="constrained")
speakers = sorted(set(y_train))
by_speaker = [[length for length, label in zip(lengths, y_train, strict=True) if label == who] for who in speakers]
ax.boxplot(by_speaker, tick_labels=speakers)
ax.set(xlabel="speaker", ylabel="time points")
plt.show()
