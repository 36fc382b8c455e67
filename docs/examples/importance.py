"""
Explain a prediction
====================

Which time points mattered? :func:`~v2s_sklearn.inspection.importance` takes windows of the series away, and works with
any classifier. :class:`~v2s_sklearn.inspection.SaliencyDisplay` uses the gradients of the convolutions of a source.
"""

# sphinx_gallery_thumbnail_path = "figures/thumb-importance.png"

import matplotlib.pyplot as plt
import numpy as np
from aeon.datasets import load_gunpoint

from v2s_sklearn import V2SClassifier
from v2s_sklearn.inspection import SaliencyDisplay, importance

X_train, y_train = load_gunpoint(split="train")
X_test, y_test = load_gunpoint(split="test")
clf = V2SClassifier(random_state=0).fit(X_train, y_train)

# %%
# By occlusion
# ------------
# How far the log-probability of the true class falls where windows of 15 and 30 points are replaced by the training
# mean, for one series of each class. GunPoint's classes differ by whether a gun is taken out of a holster before the
# hand rises and put back after it.
cases = [np.flatnonzero(y_test == label)[0] for label in clf.classes_]
fall = importance(clf, X_test[cases], y_test[cases], windows=[15, 30])
print("(n_cases, n_channels, n_timepoints):", fall.shape)

figure, axes = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained", sharey=True)
largest = np.abs(fall).max()
for ax, case, values in zip(axes, cases, fall[:, 0], strict=True):
    series = X_test[case, 0]
    ax.plot(series, color="lightgrey", zorder=0)
    points = ax.scatter(np.arange(len(series)), series, c=values, cmap="coolwarm", vmin=-largest, vmax=largest, s=12)
    ax.set(title=f"class {y_test[case]}", xlabel="time point")
figure.colorbar(points, ax=axes, label="fall of log-probability (nats)")
plt.show()

# %%
# In the second series no single window matters: without any one of them the class stays as probable.
#
# By activations and gradients
# ----------------------------
# Conductance of the convolutions of V2Sc, the source for contours. Where the two ways agree there is reason to
# believe both. Neither proves what the classifier relies on. :doc:`/inspection` measures how well each finds
# what matters.
SaliencyDisplay.from_estimator(clf, X_test[cases[0]], y_test[cases[0]], source="v2sc")
plt.show()
