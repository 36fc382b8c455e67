"""
Compare with MiniRocket and QUANT
=================================

aeon's classifiers and V2SClassifier take the same data, so a comparison is a loop. A critical-difference diagram needs
many data sets; it is drawn from the results of the benchmark.
"""

# sphinx_gallery_thumbnail_number = 2

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from aeon.classification.convolution_based import MiniRocketClassifier
from aeon.classification.interval_based import QUANTClassifier
from aeon.datasets import load_arrow_head, load_gunpoint, load_italy_power_demand
from aeon.visualisation import plot_critical_difference

from v2s_sklearn import V2SClassifier

# %%
# Three small data sets
# ---------------------
# ``V2SClassifier.fast()`` uses one frozen source only, and takes about a quarter of the time of the default.
classifiers = {
    "V2S, fast": V2SClassifier.fast(random_state=0),
    "MiniRocket": MiniRocketClassifier(random_state=0),
    "QUANT": QUANTClassifier(random_state=0),
}
accuracy = {}
for load in (load_gunpoint, load_arrow_head, load_italy_power_demand):
    (X_train, y_train), (X_test, y_test) = load(split="train"), load(split="test")
    name = load.__name__.removeprefix("load_")
    accuracy[name] = {
        label: classifier.fit(X_train, y_train).score(X_test, y_test) for label, classifier in classifiers.items()
    }
print((100 * pd.DataFrame(accuracy).T).round(1).to_string())

# %%
# All thirty data sets of the paper
# ---------------------------------
# ``benchmarks/results/default.csv`` has a row a run, made by ``benchmarks.run.classifiers``.
compared = ["V2S", "V2S-fast", "MultiRocketHydra", "MiniRocket", "QUANT", "Hydra", "1NN-DTW"]
runs = pd.read_csv("../../benchmarks/results/default.csv")
runs = runs[runs["classifier"].isin(compared) & (runs["resample"] == 0) & (runs["split"] == "TEST")]
table = runs.pivot(index="dataset", columns="classifier", values="accuracy")
table = table.dropna()
print(len(table), "data sets; mean accuracy (%):")
print((100 * table.mean()).sort_values(ascending=False).round(2).to_string())

# %%
# Mean ranks, joined by a bar where Wilcoxon's signed-rank test with Holm's correction shows no difference at 5 %. The
# lead of the default over MultiRocket-Hydra is too small for the test.
plt.rcParams["savefig.bbox"] = "tight"  # the names stand beside the axes
figure, _ = plot_critical_difference(table.to_numpy(), list(table.columns), alpha=0.05, width=9, textspace=2.5)
plt.show()

# %%
# The same accuracies set by set: a point above the diagonal is a data set on which V2SClassifier() is better.
figure, ax = plt.subplots(figsize=(4.5, 4.5), layout="constrained")
ax.plot([50, 100], [50, 100], color="grey", linewidth=1)
for rival, colour in {"MultiRocketHydra": "#0072B2", "MiniRocket": "#E69F00"}.items():
    wins, losses = np.sum(table["V2S"] > table[rival]), np.sum(table["V2S"] < table[rival])
    ax.scatter(
        100 * table[rival], 100 * table["V2S"], s=25, color=colour, label=f"{rival}: {wins} wins, {losses} losses"
    )
ax.set(xlabel="rival, accuracy (%)", ylabel="V2SClassifier(), accuracy (%)")
ax.legend()
plt.show()
