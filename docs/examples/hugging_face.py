"""
Use a Hugging Face model
========================

``acoustic_model="hf:owner/name"`` takes an audio classifier of the hub, ``"hf:folder"`` one on disk. This example
makes a checkpoint of a small Audio Spectrogram Transformer with random weights, so that it needs no network; with a
released checkpoint only the name differs.
"""

# sphinx_gallery_thumbnail_path = "figures/thumb-waveform.png"

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from aeon.datasets import load_italy_power_demand
from transformers import ASTConfig, ASTFeatureExtractor, ASTForAudioClassification
from transformers.utils import logging

from v2s_sklearn import V2SClassifier, load_acoustic_model
from v2s_sklearn.inspection import ReprogrammedInputDisplay

# %%
# A checkpoint in a folder
# ------------------------
# ``config.json``, ``preprocessor_config.json`` and ``model.safetensors`` are all that is needed. Nothing is
# unpickled, and no code from a checkpoint is run.
folder = tempfile.TemporaryDirectory()
words = dict(enumerate(["yes", "no", "up", "down", "left", "right"]))
logging.disable_progress_bar()
with torch.random.fork_rng(devices=[]):
    torch.manual_seed(0)
    network = ASTForAudioClassification(
        ASTConfig(
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=4,
            intermediate_size=64,
            patch_size=8,
            frequency_stride=8,
            time_stride=8,
            max_length=96,
            num_mel_bins=32,
            id2label=words,
        )
    )
network.save_pretrained(folder.name)
ASTFeatureExtractor(num_mel_bins=32, max_length=96).save_pretrained(folder.name)
print(sorted(path.name for path in Path(folder.name).iterdir()))

# %%
# Its front end is replaced by a differentiable one with the same output, so that theta can be trained through it.
model = load_acoustic_model(f"hf:{folder.name}")
print(model.source_labels, model.n_samples, "samples at", model.sample_rate, "Hz")

# %%
# As the source of a classifier
# -----------------------------
X_train, y_train = load_italy_power_demand(split="train")
X_test, y_test = load_italy_power_demand(split="test")
clf = V2SClassifier(f"hf:{folder.name}", random_state=0).fit(X_train, y_train)
print(f"test accuracy of the first 200 cases, random weights: {clf.score(X_test[:200], y_test[:200]):.3f}")

# %%
# The waveform and its spectrogram:
ReprogrammedInputDisplay.from_estimator(clf, X_test[0])
plt.show()

# %%
folder.cleanup()
