"""Contrastive pretraining of wav2vec on raw audio, and the linear probe on top.

Shape legend: B batch, S waveform samples, F latent frames, D channels, N negatives, K source classes.
"""

import logging
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from torch.nn import functional as F

from v2s_sklearn.pretrain.augmentation import WaveformAugmentation
from v2s_sklearn.pretrain.checkpoints import Checkpoint
from v2s_sklearn.pretrain.supervised import evaluate, learning_rate_factor

logger = logging.getLogger(__name__)


@dataclass
class ContrastiveConfig:
    """How wav2vec is pretrained.

    Attributes
    ----------
    epochs, batch_size : int
    learning_rate : float
        Peak of a cosine schedule with one warm-up epoch (Adam).
    n_negatives : int
        Frames of the same clip that a true one is told from.
    probe_C : float
        Inverse regularisation of the linear probe.
    augmentation : WaveformAugmentation
        Of the clips in pretraining.
    seed : int

    Examples
    --------
    >>> from v2s_sklearn.pretrain.contrastive import ContrastiveConfig
    >>> config = ContrastiveConfig(n_negatives=20)
    >>> config.n_negatives, config.epochs
    (20, 8)
    """

    epochs: int = 8
    batch_size: int = 64
    learning_rate: float = 1e-3
    n_negatives: int = 10
    probe_C: float = 0.1
    augmentation: WaveformAugmentation = field(default_factory=WaveformAugmentation)
    seed: int = 0


def contrastive_loss(model, layers, n_negatives, generator):
    """Return the k-step contrastive loss, and how often a true frame scores above a random one.

    For each step k the context tells the frame k steps ahead from other frames of the clip, by cross-entropy over the
    true and the false ones [2]_. With the sum of binary losses of [1]_ learning was slower in a first trial.

    Parameters
    ----------
    model : Wav2Vec
    layers : dict
        From ``model.encode``.
    n_negatives : int
        Other frames of the same clip, drawn for each true one.
    generator : torch.Generator

    Returns
    -------
    loss : tensor of shape ()
        Nats, mean over the steps k.
    accuracy : float

    References
    ----------
    .. [1] S. Schneider et al., wav2vec, Interspeech 2019, section 2.2.
    .. [2] A. van den Oord et al., Representation learning with contrastive predictive coding, arXiv 1807.03748, 2018,
       equation 4.
    """
    latent = torch.relu(layers[f"encoder{len(model.encoder)}"]).transpose(1, 2)  # (B, F, D)
    context = layers["context"].transpose(1, 2)
    n_clips, n_frames, _ = latent.shape
    losses, hits = [], []
    for step, predict in enumerate(model.predict, start=1):
        predicted, true = predict(context[:, :-step]), latent[:, step:]
        own = torch.arange(step, n_frames)[:, None]
        index = torch.randint(n_frames - 1, (n_clips, len(own), n_negatives), generator=generator)
        index = index + (index >= own)  # any frame but the true one
        negatives = latent.gather(1, index.flatten(1)[..., None].expand(-1, -1, latent.shape[2]))
        negatives = negatives.reshape(n_clips, len(own), n_negatives, -1)
        positive_score = (predicted * true).sum(2, keepdim=True)
        negative_score = torch.einsum("bfd,bfnd->bfn", predicted, negatives)
        scores = torch.cat([positive_score, negative_score], dim=2)
        losses.append(-F.log_softmax(scores, dim=2)[..., 0].mean())
        hits.append((positive_score > negative_score).float().mean().item())
    return torch.stack(losses).mean(), sum(hits) / len(hits)


@torch.no_grad()
def fit_probe(model, split, probe_C):
    """Fit the linear probe on the labels by logistic regression; encoder and context stay as they are."""
    pooled = []
    for clips in split.batches(256):
        context = model.encode(clips)["context"]
        pooled.append(torch.cat([context.mean(2), context.amax(2)], dim=1))
    scaler = StandardScaler()
    x = scaler.fit_transform(torch.cat(pooled).double().numpy())
    regression = LogisticRegression(C=probe_C, max_iter=200).fit(x, split.labels.numpy())
    coef, intercept = regression.coef_, regression.intercept_
    if len(coef) == 1:  # two classes: the logit of the second against the first
        coef, intercept = np.vstack([-coef, coef]) / 2, np.hstack([-intercept, intercept]) / 2
    weight = torch.from_numpy(coef / scaler.scale_)
    model.output.weight.copy_(weight)
    model.output.bias.copy_(torch.from_numpy(intercept) - weight @ torch.from_numpy(scaler.mean_))


def train_contrastive(model, data, config, work_dir):
    """Pretrain wav2vec without labels, then fit its probe; resumes from ``work_dir``.

    Parameters
    ----------
    model : Wav2Vec
        Its weights are overwritten.
    data : dict of Split
        "train" and "validation", of waveforms.
    config : ContrastiveConfig
    work_dir : path
        Receives ``checkpoint.safetensors`` after every epoch.

    Returns
    -------
    model : Wav2Vec
        In eval mode.
    history : list of dict
        One entry an epoch: loss, contrastive accuracy, validation accuracy and loss of the probe (after the last),
        seconds.

    Examples
    --------
    One epoch on eight clips of noise with a narrow network, so that it takes no time; the command trains on speech.

    >>> import tempfile
    >>> import torch
    >>> from v2s_sklearn.acoustic.networks.wav2vec import Wav2Vec
    >>> from v2s_sklearn.pretrain.contrastive import ContrastiveConfig, train_contrastive
    >>> from v2s_sklearn.pretrain.datasets import Split
    >>> noise = torch.randint(-9000, 9000, (8, 4000), dtype=torch.int16)
    >>> split = Split(noise, torch.arange(8) % 2)
    >>> data = {"train": split, "validation": split}
    >>> narrow = {"encoder_channels": [8] * 5, "n_context_layers": 1, "n_steps": 1}
    >>> model = Wav2Vec(["no", "yes"], n_samples=4000, **narrow)
    >>> config = ContrastiveConfig(epochs=1, batch_size=4)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     model, history = train_contrastive(model, data, config, folder)
    >>> len(history), "contrastive_accuracy" in history[0]
    (1, True)
    """
    work_dir = Path(work_dir)
    work_dir.mkdir(parents=True, exist_ok=True)
    checkpoint = Checkpoint(work_dir, config, model, data)
    optimizer = torch.optim.Adam(model.parameters(), lr=config.learning_rate)
    state = {"model": model, "optimizer": optimizer}
    history = checkpoint.load(state)
    split = data["train"]
    n_batches = -(-len(split) // config.batch_size)
    for epoch in range(len(history), config.epochs):
        started = time.perf_counter()
        generator = torch.Generator().manual_seed(config.seed * 100_003 + epoch)
        order = torch.randperm(len(split), generator=generator)
        noise = split.batch(order[: len(order) // 20 + 1])
        model.train()
        total = hits = 0.0
        for index, batch in enumerate(order.split(config.batch_size)):
            factor = learning_rate_factor(epoch * n_batches + index, config.epochs * n_batches, n_batches)
            optimizer.param_groups[0]["lr"] = config.learning_rate * factor
            layers = model.encode(config.augmentation(split.batch(batch), noise, generator))
            loss, accuracy = contrastive_loss(model, layers, config.n_negatives, generator)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
            optimizer.step()
            total, hits = total + loss.item() * len(batch), hits + accuracy * len(batch)
            if index % 100 == 99:
                logger.info("epoch %d  batch %d of %d  loss %.3f", epoch + 1, index + 1, n_batches, loss.item())
        model.eval()
        entry = {"epoch": epoch + 1, "train_loss": total / len(split), "contrastive_accuracy": hits / len(split)}
        if epoch + 1 == config.epochs:
            fit_probe(model, split, config.probe_C)
            validation = evaluate(model, data["validation"])
            entry |= {"validation_accuracy": validation["accuracy"], "validation_loss": validation["loss"]}
        entry["seconds"] = time.perf_counter() - started
        history.append(entry)
        checkpoint.save(state, history)
        logger.info("epoch %d of %d: %s", epoch + 1, config.epochs, {k: round(v, 4) for k, v in entry.items()})
    return model.freeze(), history
