"""Supervised training of a source model; resumable at every epoch.

Shape legend: N clips, B batch, S waveform samples, F frames, M mel bands, K source classes.
"""

import copy
import logging
import math
import time
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch.nn import functional as F

from v2s_sklearn.pretrain.augmentation import Augmentation, WaveformAugmentation
from v2s_sklearn.pretrain.checkpoints import Checkpoint
from v2s_sklearn.pretrain.datasets import SILENCE

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
    start_from : str or None
        A model trained before whose weights this one starts from, where names and shapes agree.
    teachers : tuple of str
        Models trained before whose mean probabilities are mixed into the targets (Hinton et al., 2015).
    teacher_weight : float
        Share of the teachers in the targets.
    teacher_shifts : tuple of int
        Shifts of a clip, in frames, over which the teachers' probabilities are averaged.
    augmentation : Augmentation or WaveformAugmentation
        For log-mel features or waveforms.
    seed : int

    Examples
    --------
    >>> from v2s_sklearn.pretrain.supervised import TrainingConfig
    >>> config = TrainingConfig(epochs=5, teachers=("v2sr", "v2st"))
    >>> config.epochs, config.batch_size, config.teacher_weight
    (5, 128, 0.7)
    """

    epochs: int = 20
    batch_size: int = 128
    learning_rate: float = 3e-3
    weight_decay: float = 0.01
    label_smoothing: float = 0.0
    ema_decay: float = 0.999
    start_from: str | None = None
    teachers: tuple = ()
    teacher_weight: float = 0.7
    teacher_shifts: tuple = (0,)
    augmentation: Augmentation | WaveformAugmentation = field(default_factory=Augmentation)
    seed: int = 0


@torch.no_grad()
def teacher_targets(teachers, split, shifts, batch_size=256):
    """Return the teachers' mean probabilities (N, K), for log-mel features averaged over shifts in frames too."""
    targets = []
    for clips in split.batches(batch_size):
        if split.is_audio:
            logits = [teacher(clips) for teacher in teachers]
        else:
            logits = [teacher.activations(clips.roll(n, dims=1))["logits"] for teacher in teachers for n in shifts]
        targets.append(torch.stack(logits).softmax(2).mean(0))
    return torch.cat(targets)


@torch.no_grad()
def evaluate(model, split, batch_size=256):
    """Return accuracy and mean cross-entropy (nats) of a model in eval mode on a `Split`."""
    logits = torch.cat([model.activations(clips)["logits"] for clips in split.batches(batch_size)])
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


def train(model, data, config, work_dir, teachers=()):
    """Train a source model, resuming from ``work_dir`` if it holds a checkpoint of the same training.

    Parameters
    ----------
    model : AcousticModel
        Its weights are overwritten.
    data : dict of Split
        With "train" and "validation".
    config : TrainingConfig
    work_dir : path
        Receives ``checkpoint.safetensors`` after every epoch.
    teachers : sequence of AcousticModel, optional
        With the same source labels as ``model``.

    Returns
    -------
    model : AcousticModel
        The averaged weights after the last epoch, in eval mode.
    history : list of dict
        One entry an epoch: loss, validation accuracy and loss, seconds.

    Examples
    --------
    Two epochs on eight clips of random features, so that it takes no time; the command trains on speech.

    >>> import tempfile
    >>> import torch
    >>> from v2s_sklearn.acoustic.networks.attention_rnn import AttentionRNN
    >>> from v2s_sklearn.pretrain.datasets import Split
    >>> from v2s_sklearn.pretrain.supervised import TrainingConfig, train
    >>> split = Split(torch.randn(8, 98, 40).half(), torch.arange(8) % 2)
    >>> data = {"train": split, "validation": split}
    >>> model = AttentionRNN(["no", "yes"], hidden_size=8, dense_sizes=[8])
    >>> config = TrainingConfig(epochs=2, batch_size=4)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     model, history = train(model, data, config, folder)
    >>> model.training, [entry["epoch"] for entry in history]
    (False, [1, 2])
    """
    work_dir = Path(work_dir)
    work_dir.mkdir(parents=True, exist_ok=True)
    checkpoint = Checkpoint(work_dir, config, model, data, teachers)
    train_split, validation_split = data["train"], data["validation"]
    model.to(memory_format=torch.channels_last)
    average = copy.deepcopy(model).eval()
    optimizer = torch.optim.AdamW(model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
    n_batches = math.ceil(len(train_split) / config.batch_size)
    state = {"model": model, "average": average, "optimizer": optimizer}
    history = checkpoint.load(state)
    if len(history) >= config.epochs:
        return average.freeze(), history

    targets = one_hot_targets(train_split.labels, model.n_classes, config.label_smoothing)
    if teachers:
        taught = teacher_targets(teachers, train_split, config.teacher_shifts)
        targets = torch.lerp(targets, taught, config.teacher_weight)
    # Background noise to mix in; in data without it any other clip serves.
    is_noise = train_split.labels == model.source_labels.index(SILENCE) if SILENCE in model.source_labels else None
    noise = train_split.batch(slice(None) if is_noise is None else is_noise)
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
                features = config.augmentation(train_split.batch(batch), noise, generator)
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
        checkpoint.save(state, history)
        logger.info("epoch %d of %d: %s", epoch + 1, config.epochs, {k: round(v, 4) for k, v in history[-1].items()})
    return average.freeze(), history
