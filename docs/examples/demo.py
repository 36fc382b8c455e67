"""
First steps: classify and compare
=================================

:class:`~v2s_sklearn.V2SClassifier` on a real UCR data set that aeon ships, next to aeon's MiniRocket on the same
split. This is what ``make demo`` runs.
"""

# sphinx_gallery_thumbnail_path = "figures/sound-spectrogram.png"

import time

from aeon.classification.convolution_based import MiniRocketClassifier
from aeon.datasets import load_gunpoint

from v2s_sklearn import V2SClassifier

X_train, y_train = load_gunpoint(split="train")
X_test, y_test = load_gunpoint(split="test")
print(f"GunPoint: {len(X_train)} training and {len(X_test)} test series of {X_train.shape[2]} points\n")

print(f"{'classifier':24}{'test accuracy':>14}{'fit + predict':>16}")
for classifier in (V2SClassifier(random_state=0), MiniRocketClassifier(random_state=0)):
    started = time.perf_counter()
    accuracy = classifier.fit(X_train, y_train).score(X_test, y_test)
    seconds = time.perf_counter() - started
    print(f"{type(classifier).__name__:24}{accuracy:14.3f}{seconds:14.1f} s")
    if isinstance(classifier, V2SClassifier):
        v2s = classifier

n_frozen = sum(model.n_parameters() for model in v2s.acoustic_model_)
n_theta = sum(parameter.numel() for parameter in v2s.net_.module_.views.parameters())
n_mapping = sum(parameter.numel() for parameter in v2s.net_.module_.mapping.parameters())
print(f"\nfrozen    {n_frozen:8,} weights of the acoustic models {', '.join(v2s.acoustic_model)}")
print(f"trainable {n_theta:8,} values of theta (input), {n_mapping:,} of the mapping (output)")
print("\n(MiniRocket's time includes the compilation of its code, once a process.)")
