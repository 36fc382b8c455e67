"""
Run the method of the paper
===========================

``V2SClassifier.icml2021()`` has the settings of Voice2Series: the series stands in a waveform whose other samples,
theta, are trained, and spoken words stand for the classes. :class:`~v2s_sklearn.alignment.AlignmentHistory` follows
the sliced Wasserstein distance (SWD) between the source logits of speech and of the reprogrammed series.
"""

# sphinx_gallery_thumbnail_number = 2

import matplotlib.pyplot as plt
from aeon.datasets import load_italy_power_demand

from v2s_sklearn import V2SClassifier
from v2s_sklearn.alignment import AlignmentHistory, load_source_logits, target_logits, target_risk_bound
from v2s_sklearn.inspection import LabelMappingDisplay, TrainingDisplay

X_train, y_train = load_italy_power_demand(split="train")
X_test, y_test = load_italy_power_demand(split="test")

# %%
# 20 epochs in place of the paper's 100, so that this page is built quickly. A part of the training cases is set aside
# to stop by.
clf = V2SClassifier.icml2021(
    max_epochs=20,
    early_stopping=True,
    validation_fraction=0.3,
    n_iter_no_change=20,
    callbacks=[AlignmentHistory()],
    random_state=0,
).fit(X_train, y_train)
print(f"test accuracy of the first 200 cases: {clf.score(X_test[:200], y_test[:200]):.3f}")
print("theta:", clf.theta_.shape, " label mapping:", clf.label_mapping_.shape)

# %%
# Loss, accuracy and distance by epoch. The distance need not fall with the loss.
TrainingDisplay.from_estimator(clf)
plt.show()

# %%
# The words that stand for each class; its probability is the mean of theirs.
LabelMappingDisplay.from_estimator(clf)
plt.show()

# %%
# The bound of Theorem 1 is far above any risk, which is at most the square root of 2: it can order sources at best.
source, words = load_source_logits("v2sa")
print(f"bound of the target risk: {target_risk_bound(source, words, target_logits(clf, X_train)):.1f}")
