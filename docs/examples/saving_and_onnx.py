"""
Save, and export to ONNX
========================

A fitted estimator in one file without pickle, and its predictions as a graph that runs without this package.
"""

import json
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import onnx
import onnxruntime
from aeon.datasets import load_gunpoint

import v2s_sklearn
from v2s_sklearn import V2SClassifier

X_train, y_train = load_gunpoint(split="train")
X_test, y_test = load_gunpoint(split="test")
clf = V2SClassifier.fast(random_state=0).fit(X_train, y_train)
probabilities = clf.predict_proba(X_test)
folder = tempfile.TemporaryDirectory()

# %%
# safetensors
# -----------
# The file holds parameters, theta, the mapping, and the name and sha256 of the acoustic model, whose weights come
# with the package.
path = Path(folder.name) / "gunpoint.safetensors"
clf.save(path)
loaded = v2s_sklearn.load(path)
same = np.array_equal(loaded.predict_proba(X_test), probabilities)
print(f"{path.stat().st_size / 1e6:.1f} MB; the same bits: {same}")

# %%
# ONNX
# ----
# The graph holds everything, the frozen weights as well. It is written only if onnxruntime gives the same
# probabilities.
path = Path(folder.name) / "gunpoint.onnx"
v2s_sklearn.to_onnx(clf, path, X_train)
session = onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
(answer,) = session.run(None, {"X": X_test.astype(np.float64)})
labels = json.loads({entry.key: entry.value for entry in onnx.load(path).metadata_props}["classes"])
print(f"{path.stat().st_size / 1e6:.1f} MB, classes {labels}")
print(f"largest difference {np.abs(answer - probabilities).max():.1e}")

# %%
figure, ax = plt.subplots(figsize=(4, 4), layout="constrained")
ax.plot([0, 1], [0, 1], color="grey", linewidth=1)
ax.scatter(probabilities[:, 0], answer[:, 0], s=15, color="#0072B2")
ax.set(xlabel="predict_proba", ylabel="onnxruntime", title=f"probability of class {labels[0]}, 150 test cases")
plt.show()

# %%
folder.cleanup()
