"""
Search parameters on the training split
=======================================

:class:`~v2s_sklearn.V2SClassifier` is an estimator of scikit-learn: its parameters are searched, and transformers of
scikit-learn and aeon stand before it.
"""

import matplotlib.pyplot as plt
from aeon.datasets import load_italy_power_demand
from aeon.transformations.collection import Normalizer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline

from v2s_sklearn import V2SClassifier

X_train, y_train = load_italy_power_demand(split="train")
X_test, y_test = load_italy_power_demand(split="test")

# %%
# What is searched: whether each series is normalised on its own, and which frozen sources are used. A tuple of
# names means several sources at once.
pipeline = Pipeline([("normalize", Normalizer()), ("v2s", V2SClassifier(random_state=0))])
grid = {
    "normalize": [Normalizer(), "passthrough"],
    "v2s__acoustic_model": ["wav2vec", "v2sc", "v2sa", ("wav2vec", "v2sc")],
}
search = GridSearchCV(pipeline, grid, cv=3, scoring=["accuracy", "neg_log_loss"], refit="neg_log_loss")
search.fit(X_train, y_train)
print("best:", search.best_params_["v2s__acoustic_model"], "after", search.best_params_["normalize"])

# %%
# With 67 training cases accuracy by cross-validation goes in steps of 1.5 points. The log loss tells more, which is
# why the search above is refitted by it.
results = search.cv_results_
names = [
    f"{' + '.join([source] if isinstance(source, str) else source)}{'' if before == 'passthrough' else ', normalised'}"
    for source, before in zip(results["param_v2s__acoustic_model"], results["param_normalize"], strict=True)
]
figure, ax = plt.subplots(figsize=(6, 3.4), layout="constrained")
ax.barh(names, -results["mean_test_neg_log_loss"], color="#E69F00")
ax.set(xlabel="log loss (nats), 3 folds")
plt.show()

# %%
# The accuracies:
figure, ax = plt.subplots(figsize=(6, 3.4), layout="constrained")
ax.barh(names, 100 * results["mean_test_accuracy"], color="#0072B2")
ax.set(xlabel="accuracy (%), 3 folds", xlim=(80, 100))
plt.show()

# %%
# The test split is looked at once, with what the training split chose.
print(f"test accuracy {search.best_estimator_.score(X_test, y_test):.3f}")
