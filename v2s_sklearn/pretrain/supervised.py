"""Supervised training of a source model on spoken words; resumable at every epoch.

Shape legend: N clips, B batch, S waveform samples, F frames, M mel bands, K source classes.
"""

import copy
import logging
import math
import os
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from torch.nn import functional as F

from v2s_sklearn.pretrain.data import Augmentation

logger = logging.getLogger(__name__)


@dataclass
class TrainingConfig:
    """How a source model is trained.

    Attributes
    ----------
    epochs, batch_size : int
    learning_rate : float
        Peak of a cosine schedule with one warm-up epoch (AdamW).
    weight_decay : float
    label_smoothing : float
    ema_decay : float
        The exported weights are an exponential moving average with this decay a step.
    teacher : str or None
        A packaged acoustic model whose probabilities are mixed into the targets (Hinton et al., 2015).
    teacher_weight : float
        Share of the teacher in the targets.
    augmentation : Augmentation
    seed : int
    """

    epochs: int = 20
    batch_size: int = 128
    learning_rate: float = 3e-3
    weight_decay: float = 0.01
    label_smoothing: float = 0.0
    ema_decay: float = 0.999
    teacher: str | None = None
    teacher_weight: float = 0.7
    augmentation: Augmentation = field(default_factory=Augmentation)
    seed: int = 0


@torch.no_grad()
def teacher_targets(teacher, split, batch_size=256, shifts=(-5, 0, 5)):
    """Return the teacher's probabilities (N, K), averaged over small shifts in frames."""
    targets = []
    for features in split.features.split(batch_size):
        features = features.float()
        probabilities = [
            torch.softmax(teacher.activations(features.roll(shift, dims=1))["logits"], dim=1) for shift in shifts
        ]
        targets.append(torch.stack(probabilities).mean(0))
    return torch.cat(targets)


@torch.no_grad()
def evaluate(model, split, batch_size=256):
    """Return accuracy and mean cross-entropy (nats) of a model in eval mode on a `SpeechSplit`."""
    logits = torch.cat([model.activations(x.float())["logits"] for x in split.features.split(batch_size)])
    accuracy = (logits.argmax(1) == split.labels).float().mean().item()
    return {"accuracy": accuracy, "loss": F.cross_entropy(logits, split.labels).item()}


def one_hot_targets(labels, n_classes, smoothing):
    """Return smoothed one-hot targets (N, K)."""
    return F.one_hot(labels, n_classes).float() * (1 - smoothing) + smoothing / n_classes


def learning_rate_factor(step, n_steps, n_warmup):
    """Return the factor on the peak learning rate: linear warm-up, then a cosine to zero."""
    if step < n_warmup:
        return (step + 1) / n_warmup
    return 0.5 * (1 + math.cos(math.pi * (step - n_warmup) / max(1, n_steps - n_warmup)))


@torch.no_grad()
def update_average(average, model, decay):
    """Move the averaged weights and statistics towards the model's."""
    for mean, value in zip(average.state_dict().values(), model.state_dict().values(), strict=True):
        if mean.is_floating_point():
            mean.lerp_(value, 1 - decay)
        else:
            mean.copy_(value)


def save_checkpoint(path, checkpoint):
    """Write a checkpoint so that a kill at any moment leaves the old or the new one, whole."""
    temporary = path.with_suffix(".tmp")
    torch.save(checkpoint, temporary)
    os.replace(temporary, path)


def train(model, data, config, work_dir, teacher=None):
    """Train a source model, resuming from ``work_dir`` if it holds a checkpoint of the same configuration.

    Parameters
    ----------
    model : AcousticModel
        Its weights are overwritten.
    data : dict of SpeechSplit
        With "train" and "validation".
    config : TrainingConfig
    work_dir : path
        Receives ``checkpoint.pt`` after every epoch.
    teacher : AcousticModel, optional
        With the same source labels as ``model``.

    Returns
    -------
    model : AcousticModel
        The averaged weights after the last epoch, in eval mode.
    history : list of dict
        One entry an epoch: loss, validation accuracy and loss, seconds.
    """
    work_dir = Path(work_dir)
    work_dir.mkdir(parents=True, exist_ok=True)
    checkpoint_path = work_dir / "checkpoint.pt"
    train_split, validation_split = data["train"], data["validation"]
    average = copy.deepcopy(model).eval()
    optimizer = torch.optim.AdamW(model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
    n_batches = math.ceil(len(train_split) / config.batch_size)
    history = []
    if checkpoint_path.exists():
        checkpoint = torch.load(checkpoint_path, weights_only=True)
        if checkpoint["config"] != asdict(config):
            raise ValueError(
                f"{checkpoint_path} was written with another configuration:\n{checkpoint['config']}\nnow:\n"
                f"{asdict(config)}\nUse another --work-dir or remove the file."
            )
        model.load_state_dict(checkpoint["model"])
        average.load_state_dict(checkpoint["average"])
        optimizer.load_state_dict(checkpoint["optimizer"])
        history = checkpoint["history"]
        logger.info("resuming after epoch %d", len(history))
    if len(history) >= config.epochs:
        return average.freeze(), history

    targets = one_hot_targets(train_split.labels, model.n_classes, config.label_smoothing)
    if teacher is not None:
        targets = torch.lerp(targets, teacher_targets(teacher, train_split), config.teacher_weight)
    noise = train_split.features[train_split.labels == model.source_labels.index("_silence_")]
    for epoch in range(len(history), config.epochs):
        started = time.perf_counter()
        # A generator an epoch: a resumed run draws what an unbroken one would have drawn.
        generator = torch.Generator().manual_seed(config.seed * 100_003 + epoch)
        dropout_seed = int(torch.randint(2**31, (1,), generator=generator))
        order = torch.randperm(len(train_split), generator=generator)
        model.train()
        total = 0.0
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(dropout_seed)
            for index, batch in enumerate(order.split(config.batch_size)):
                step = epoch * n_batches + index
                factor = learning_rate_factor(step, config.epochs * n_batches, n_batches)
                optimizer.param_groups[0]["lr"] = config.learning_rate * factor
                features = config.augmentation(train_split.features[batch].float(), noise, generator)
                logits = model.activations(features)["logits"]
                loss = F.cross_entropy(logits, targets[batch])
                optimizer.zero_grad()
                loss.backward()
                torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
                optimizer.step()
                update_average(average, model, min(config.ema_decay, (step + 1) / (step + 10)))
                total += loss.item() * len(batch)
                if index % 100 == 99:
                    logger.info("epoch %d  batch %d of %d", epoch + 1, index + 1, n_batches)
        validation = evaluate(average, validation_split)
        history.append(
            {
                "epoch": epoch + 1,
                "train_loss": total / len(train_split),
                "validation_accuracy": validation["accuracy"],
                "validation_loss": validation["loss"],
                "seconds": time.perf_counter() - started,
            }
        )
        save_checkpoint(
            checkpoint_path,
            {
                "config": asdict(config),
                "model": model.state_dict(),
                "average": average.state_dict(),
                "optimizer": optimizer.state_dict(),
                "history": history,
            },
        )
        logger.info("epoch %d of %d: %s", epoch + 1, config.epochs, {k: round(v, 4) for k, v in history[-1].items()})
    return average.freeze(), history
