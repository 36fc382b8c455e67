"""
Use a network of your own
=========================

Any differentiable network on waveforms can be the frozen source. Here a small one learns, in some seconds, to tell
rising from falling, steady and trembling tones, and is then used on series, beside the same network with the weights
it started from.
"""

import matplotlib.pyplot as plt
import torch
from aeon.datasets import load_arrow_head
from sklearn.model_selection import cross_val_score
from torch import nn

from v2s_sklearn import V2SClassifier, register_acoustic_model
from v2s_sklearn.acoustic.interface import AcousticModel
from v2s_sklearn.frontend import LogMel

LABELS = ["rising", "falling", "steady", "trembling"]


class ToneModel(AcousticModel):
    """Two convolutions over the frames of a log-mel spectrogram of half a second at 8 kHz."""

    def __init__(self, generator):
        super().__init__(LABELS, LogMel(sample_rate=8000), sample_rate=8000, n_samples=4000)
        self.convolutions = nn.ModuleList([nn.Conv1d(40, 32, 5, padding=2), nn.Conv1d(32, 32, 5, padding=2)])
        self.head = nn.Linear(32, len(LABELS))
        for parameter in self.parameters():
            nn.init.normal_(parameter, std=parameter[0].numel() ** -0.5, generator=generator)

    def activations(self, features):
        """Return the activations by name, (B, channels, frames), the logits last."""
        first = torch.relu(self.convolutions[0](features.transpose(1, 2)))
        second = torch.relu(self.convolutions[1](first))
        return {"first": first, "second": second, "logits": self.head(second.mean(2))}


def tones(n, generator):
    """Return waveforms (n, 4000) and the number of the label of each, in turn."""
    time = torch.arange(4000) / 4000
    kind = torch.arange(n) % len(LABELS)
    start = 800 + 800 * torch.rand(n, 1, generator=generator)
    bend = 200 + 300 * torch.rand(n, 1, generator=generator)
    course = torch.stack([time, -time, 0 * time, 0.3 * torch.sin(2 * torch.pi * 6 * time)])[kind]
    phase = 2 * torch.pi * torch.cumsum((start + bend * course) / 8000, dim=1)
    return 0.1 * torch.sin(phase) + 0.003 * torch.randn(n, 4000, generator=generator), kind


# %%
# Pretraining
# -----------
generator = torch.Generator().manual_seed(0)
trained, untrained = (ToneModel(torch.Generator().manual_seed(1)) for _ in range(2))
optimizer = torch.optim.Adam(trained.parameters(), lr=0.003)
losses = []
for _ in range(150):
    waveforms, kind = tones(32, generator)
    loss = nn.functional.cross_entropy(trained(waveforms), kind)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
waveforms, kind = tones(400, generator)
with torch.no_grad():
    print(f"accuracy on new tones: {(trained(waveforms).argmax(1) == kind).float().mean():.3f}")

figure, ax = plt.subplots(figsize=(5, 2.8), layout="constrained")
ax.plot(losses, color="#0072B2")
ax.set(xlabel="step", ylabel="cross-entropy (nats)")
plt.show()

# %%
# A name makes the model one for grids, pickles and saved files, which check by a digest that the weights are the
# same.
register_acoustic_model("tones", lambda: trained)

# %%
# Reprogramming
# -------------
# ``fit`` freezes the model; its weights stay the same bits.
X, y = load_arrow_head(split="train")
before = trained.head.weight.clone()
clf = V2SClassifier("tones", random_state=0).fit(X, y)
print("frozen:", torch.equal(before, trained.head.weight))

# %%
# Did the training matter? The same, beside an untrained network of this form; with 36 cases one case is three points,
# and most of what a ridge on pooled activations needs is in the spectrogram already. :doc:`/speech` asks the same of
# the packaged sources on many data sets.
for name, model in {"trained on tones": "tones", "as it started": untrained}.items():
    scores = cross_val_score(V2SClassifier(model, random_state=0), X, y, cv=3)
    print(f"{name:18} {100 * scores.mean():.1f} %, 3 folds of the training split")
