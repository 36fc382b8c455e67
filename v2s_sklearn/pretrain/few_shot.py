"""Training of `ContourNet` on episodes, by a differentiable ridge; resumable. Then its layer of words.

Shape legend: E episodes, N cases of an episode, P pooled values, C classes, B series, L points, D channels, K source
classes.
"""

import logging
import time
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from v2s_sklearn.pretrain.checkpoints import Checkpoint, read_history
from v2s_sklearn.pretrain.contours import Corpus, draw_contours, draw_index, noise_corpus
from v2s_sklearn.pretrain.episodes import TaskShape, draw_episodes
from v2s_sklearn.pretrain.supervised import evaluate, learning_rate_factor
from v2s_sklearn.views.octaves import dilated_patches

logger = logging.getLogger(__name__)

CUT = 2.5  # deviations, where features are clipped
VALIDATION_POINTS = 128


@dataclass
class FewShotConfig:
    """How the contour network is trained.

    Attributes
    ----------
    epochs, steps_per_epoch : int
        There is a checkpoint and a validation after every epoch.
    episodes : dict of str to int
        How many of each kind in a step.
    n_classes : sequence of int
        Of tasks; all of a step have the same, each equally often.
    n_cases : int
        Of a task, or as many fewer as are left over when each class has as many.
    lengths, length_shares : sequence of int and of float
        Points of the series, the same in a step, and how often.
    averaging : float
        Decay a step of the exponential mean of the weights, which is what is kept; with 0 it is the last weights.
    learning_rate : float
        Peak of a cosine schedule with one warm-up epoch (AdamW).
    weight_decay : float
    complement_from : float
        From this share of the steps on the loss is the mean of two: of the ridge on the embedding alone, and of the
        ridge on it and on fixed features of the series, so that the network learns what those miss.
    contours : {"speech", "noise"}
        What the tasks are made of.
    n_validation : int
        Steps' worth of validation episodes, always of speech.
    probe_epochs, probe_decay : int and float
        Of the layer of words, trained last; with no epochs it stays as it is.
    seed : int

    Examples
    --------
    >>> from v2s_sklearn.pretrain.few_shot import FewShotConfig
    >>> [(shape.n_classes, shape.n_per_class) for shape in FewShotConfig(n_classes=(2, 4)).shapes]
    [(2, 16), (4, 8)]
    """

    epochs: int = 10
    steps_per_epoch: int = 200
    episodes: dict = field(default_factory=lambda: {"word": 1, "texture": 1, "variant": 4})
    n_classes: tuple = (4,)
    n_cases: int = 32
    lengths: tuple = (64, 128, 256)
    length_shares: tuple = (0.6, 0.35, 0.05)
    averaging: float = 0.0
    learning_rate: float = 2e-3
    weight_decay: float = 0.02
    complement_from: float = 2 / 3
    contours: str = "speech"
    n_validation: int = 20
    probe_epochs: int = 8
    probe_decay: float = 0.01
    seed: int = 0

    @property
    def shapes(self):
        """Shapes of the tasks, one for each number of classes."""
        return [TaskShape(n_classes, self.n_cases // n_classes) for n_classes in self.n_classes]


def standardise(features):
    """Return the features of each episode with mean zero and deviation one, cut: (E, N, P) to the same."""
    variance, mean = torch.var_mean(features, 1, correction=0, keepdim=True)
    return ((features - mean) * torch.rsqrt(variance + 1e-5)).clamp(-CUT, CUT)


def gram_matrix(features):
    """Return the Gram matrices of standardised features with mean diagonal one: (E, N, P) to (E, N, N)."""
    z = standardise(features)
    gram = z @ z.transpose(1, 2)
    return gram / gram.diagonal(dim1=1, dim2=2).mean(1)[:, None, None].clamp(min=1e-6)


class FixedFeatures(nn.Module):
    """Random dilated filters pooled over time, as competing kernels [1]_: what any series classifier has.

    Parameters
    ----------
    n_filters, kernel_size : int, default=32 and 9
        In groups of eight.
    seed : int, default=0

    References
    ----------
    .. [1] A. Dempster et al., Hydra, Data Mining and Knowledge Discovery 2023, section 3.
    """

    DILATIONS = (1, 2, 4, 8)

    def __init__(self, n_filters=32, kernel_size=9, seed=0):
        super().__init__()
        filters = torch.randn((n_filters, kernel_size), generator=torch.Generator().manual_seed(seed))
        self.register_buffer("filters", filters - filters.mean(1, keepdim=True), persistent=False)

    @torch.no_grad()
    def forward(self, series):
        """Return how often each filter answers most and least of its group, and above zero: (B, L) to (B, P)."""
        pooled = []
        for waves in (series, F.pad(series.diff(dim=1), (1, 0))):
            for dilation in self.DILATIONS:
                answers = self.filters @ dilated_patches(waves, self.filters.shape[1], dilation)  # (B, D, L)
                groups = answers.unflatten(1, (-1, 8))
                pooled += [
                    (groups == groups.amax(2, keepdim=True)).float().mean(3).flatten(1).sqrt(),
                    (groups == groups.amin(2, keepdim=True)).float().mean(3).flatten(1).sqrt(),
                    (answers > 0).float().mean(2),
                ]
        return torch.cat(pooled, 1)


class RidgeHead(nn.Module):
    """A ridge classifier solved within each episode, differentiable, with trained strength and sharpness.

    Parameters
    ----------
    n_classes : sequence of int
        Numbers of classes that tasks have; each has a strength and a sharpness of its own.
    """

    def __init__(self, n_classes):
        super().__init__()
        self.n_classes = list(n_classes)
        self.log_strength = nn.Parameter(torch.full((len(n_classes),), -2.0))
        self.log_sharpness = nn.Parameter(torch.full((len(n_classes),), 1.0))

    def forward(self, gram, episodes):
        """Return logits of all cases from the labelled ones: Gram matrices (E, N, N) to (E, N, C)."""
        shape, labelled = episodes.shape, episodes.support.float()
        number = self.n_classes.index(shape.n_classes)
        share = labelled / labelled.sum(1, keepdim=True)
        # Centred on the labelled cases: the intercept is free.
        to_mean = (gram @ share.unsqueeze(2)).squeeze(2)
        centre = (to_mean * share).sum(1)
        gram = gram - to_mean[:, :, None] - to_mean[:, None, :] + centre[:, None, None]
        targets = 2.0 * F.one_hot(shape.labels(gram.device), shape.n_classes).float() - 1.0
        mean_target = share @ targets  # (E, C)
        penalty = self.log_strength[number].exp() * labelled.sum(1, keepdim=True) * 0.1 + 1e-4
        # Unlabelled cases keep an identity row, so that all episodes are solved together.
        system = gram * labelled[:, :, None] * labelled[:, None, :]
        system = system + torch.diag_embed(labelled * penalty + (1.0 - labelled))
        residual = labelled[:, :, None] * (targets - mean_target[:, None, :])
        dual = torch.linalg.solve(system, residual)
        return self.log_sharpness[number].exp() * (gram @ dual + mean_target[:, None, :])


def query_loss(logits, episodes):
    """Return the mean cross-entropy and the accuracy (E,) of the cases that are not labelled."""
    labels = episodes.shape.labels(logits.device).expand(len(logits), -1)
    losses = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none").view_as(labels)
    asked = (~episodes.support).float()
    hits = (logits.argmax(2) == labels).float()
    return (losses * asked).sum() / asked.sum(), (hits * asked).sum(1) / asked.sum(1)


class Learner(nn.Module):
    """A contour network with the ridges it is trained through."""

    def __init__(self, model, n_classes):
        super().__init__()
        self.model = model
        self.fixed = FixedFeatures()
        self.alone, self.joint = RidgeHead(n_classes), RidgeHead(n_classes)

    def forward(self, episodes, complement):
        """Return the logits (E, N, C) of the embedding alone and, if asked for, of it with the fixed features."""
        gram = gram_matrix(self.model.embed_episodes(episodes.series))
        logits = [self.alone(gram, episodes)]
        if complement:
            fixed = self.fixed(episodes.series.flatten(0, 1)).unflatten(0, episodes.series.shape[:2])
            logits.append(self.joint((gram + gram_matrix(fixed)) / 2, episodes))
        return logits


@torch.no_grad()
def evaluate_episodes(learner, corpus, config):
    """Return the accuracy on fixed episodes: of each kind and in all, of the embedding, and with fixed features."""
    alone, joint = [], []
    shapes, device = config.shapes, corpus.images.device
    for seed in range(config.n_validation):
        generator = torch.Generator(device).manual_seed(10_007 + seed)
        shape = shapes[seed % len(shapes)]
        episodes = draw_episodes(corpus, config.episodes, VALIDATION_POINTS, generator, shape)
        for found, logits in zip((alone, joint), learner(episodes, complement=True), strict=True):
            found.append(query_loss(logits, episodes)[1])
    alone, joint = torch.stack(alone), torch.stack(joint)
    kinds = alone.split([count for count in config.episodes.values() if count], 1)
    names = [kind for kind, count in config.episodes.items() if count]
    found = {f"{name}_accuracy": part.mean().item() for name, part in zip(names, kinds, strict=True)}
    return {"validation_accuracy": alone.mean().item(), "joint_accuracy": joint.mean().item(), **found}


def compare_on_episodes(untrained, history, control, data, config):
    """Return accuracies on the validation episodes: of the trained weights, random ones, and a control's.

    Parameters
    ----------
    untrained : ContourNet
    history : list of dict
        From `train_few_shot`.
    control : path
        Work folder of a run on contours of noise; without a checkpoint there it is left out.
    data : dict of ContourSplit
    config : FewShotConfig

    Returns
    -------
    dict of str to dict
    """
    validation = Corpus(*(getattr(data["validation"], name) for name in ("features", "labels", "clips")))
    rows = {
        "trained": history[-1],
        "random": evaluate_episodes(Learner(untrained, config.n_classes), validation, config),
    }
    found = read_history(control)
    if found:
        steps = len(found) * config.steps_per_epoch
        rows[f"trained on contours of coloured noise ({steps:,} steps)"] = found[-1]
    return rows


def corpora(data, config):
    """Return what training and validation episodes are made of; the latter are speech in any case."""
    speech = {name: Corpus(split.features, split.labels, split.clips) for name, split in data.items()}
    if config.contours == "noise":
        train = speech["train"]
        n_words = int(train.labels.max()) + 1
        shape, n_samples = train.images.shape[1:], train.clips.shape[1]
        # As many as speech has would only cost memory: no image is drawn often.
        sizes = min(len(train.images), 20_000), min(len(train.clips), 2_000)
        speech["train"] = noise_corpus(*sizes, shape, n_samples, n_words, config.seed)
    return speech["train"], speech["validation"]


def train_few_shot(model, data, config, work_dir, device="cpu"):
    """Train the contour network on episodes, then its layer of words; resumes from ``work_dir``.

    Parameters
    ----------
    model : ContourNet
        Its weights are overwritten.
    data : dict of ContourSplit
        "train" and "validation".
    config : FewShotConfig
    work_dir : path
        Receives ``checkpoint.safetensors`` after every epoch.
    device : str or torch.device, default="cpu"
        Where tasks are drawn and the network is trained. Another one draws other tasks from the same seed.

    Returns
    -------
    model : ContourNet
        On the processor, in eval mode; the stored statistics are those of contours of the training corpus.
    history : list of dict
        One entry an epoch: loss, accuracies on the validation episodes, seconds; after the last epoch accuracy and
        loss of the words of the validation clips, too.

    Examples
    --------
    One step on a small corpus of noise with a narrow network, so that it takes a second; the command trains on speech.

    >>> import tempfile
    >>> from v2s_sklearn.acoustic.networks.contour import ContourNet
    >>> from v2s_sklearn.pretrain.contours import noise_corpus
    >>> from v2s_sklearn.pretrain.datasets import ContourSplit
    >>> from v2s_sklearn.pretrain.few_shot import FewShotConfig, train_few_shot
    >>> corpus = noise_corpus(120, 20, (98, 40), 16000, n_words=4, seed=0)
    >>> split = ContourSplit(corpus.images, corpus.labels, corpus.clips)
    >>> data = {"train": split, "validation": split}
    >>> model = ContourNet(["a", "b", "c", "d"], channels=(4, 8, 8, 12), n_points=64, n_bands=2)
    >>> config = FewShotConfig(epochs=1, steps_per_epoch=1, n_validation=1, probe_epochs=1)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     model, history = train_few_shot(model, data, config, folder)
    >>> model.training, len(history)
    (False, 1)
    """
    work_dir = Path(work_dir)
    work_dir.mkdir(parents=True, exist_ok=True)
    checkpoint = Checkpoint(work_dir, config, model, data)
    learner = Learner(model, config.n_classes).to(device)
    averaged = AveragedModel(learner, multi_avg_fn=get_ema_multi_avg_fn(config.averaging))
    network = [parameter for name, parameter in learner.named_parameters() if not name.startswith("model.output.")]
    optimizer = torch.optim.AdamW(network, lr=config.learning_rate, weight_decay=config.weight_decay)
    state = {"learner": learner, "averaged": averaged, "optimizer": optimizer}
    history = checkpoint.load(state)
    if len(history) >= config.epochs:
        return model.cpu().freeze(), history
    train, validation = (corpus.to(device) for corpus in corpora(data, config))
    shapes, shares = config.shapes, torch.tensor(config.length_shares, device=device)
    n_steps = config.epochs * config.steps_per_epoch
    for epoch in range(len(history), config.epochs):
        started = time.perf_counter()
        # A generator an epoch: a resumed run draws what an unbroken one would have drawn.
        generator = torch.Generator(device).manual_seed(config.seed * 100_003 + epoch)
        total = 0.0
        for index in range(config.steps_per_epoch):
            step = epoch * config.steps_per_epoch + index
            factor = learning_rate_factor(step, n_steps, config.steps_per_epoch)
            optimizer.param_groups[0]["lr"] = config.learning_rate * factor
            length = config.lengths[torch.multinomial(shares, 1, generator=generator)]
            shape = shapes[draw_index(len(shapes), 1, generator)] if len(shapes) > 1 else shapes[0]
            episodes = draw_episodes(train, config.episodes, length, generator, shape)
            logits = learner(episodes, step >= config.complement_from * n_steps)
            loss = torch.stack([query_loss(each, episodes)[0] for each in logits]).mean()
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network, 1.0)
            optimizer.step()
            averaged.update_parameters(learner)
            total += loss.item()
            if index % 50 == 49:
                logger.info(
                    "epoch %d  step %d of %d  loss %.3f", epoch + 1, index + 1, config.steps_per_epoch, loss.item()
                )
        entry = {"epoch": epoch + 1, "train_loss": total / config.steps_per_epoch}
        entry |= evaluate_episodes(averaged.module, validation, config)
        if epoch + 1 == config.epochs:
            learner.load_state_dict(averaged.module.state_dict())
            generator = torch.Generator(device).manual_seed(config.seed)
            model.store_statistics(draw_contours(train, 2048, model.n_points, generator))
            if config.probe_epochs:
                model.cpu()  # where the clips are
                fit_words(model, data["train"], config)
                words = evaluate(model, data["validation"])
                entry |= {"words_accuracy": words["accuracy"], "words_loss": words["loss"]}
        entry["seconds"] = time.perf_counter() - started
        history.append(entry)
        checkpoint.save(state, history)
        logger.info("epoch %d of %d: %s", epoch + 1, config.epochs, {k: round(v, 4) for k, v in entry.items()})
    return model.cpu().freeze(), history


def fit_words(model, split, config, batch_size=256):
    """Train the layer of words on the pooled contours of clips, all else fixed: a linear probe."""
    with torch.no_grad():
        pooled = torch.cat([model.activations(clips)["pool"].half() for clips in split.batches(batch_size)])
        sums = [(part.float().sum(0), part.float().square().sum(0)) for part in pooled.split(batch_size)]
        mean, square = (sum(part) / len(pooled) for part in zip(*sums, strict=True))
        scale = (square - mean.square()).clamp(min=1e-6).sqrt()
    weight, bias = (torch.zeros_like(p).requires_grad_() for p in model.output.parameters())
    optimizer = torch.optim.AdamW([weight, bias], lr=1e-3, weight_decay=config.probe_decay)
    n_steps = config.probe_epochs * -(-len(pooled) // batch_size)
    generator, step = torch.Generator().manual_seed(config.seed), 0
    for _ in range(config.probe_epochs):
        for batch in torch.randperm(len(pooled), generator=generator).split(batch_size):
            optimizer.param_groups[0]["lr"] = 1e-3 * learning_rate_factor(step, n_steps, 1)
            logits = F.linear((pooled[batch].float() - mean) / scale, weight, bias)
            loss = F.cross_entropy(logits, split.labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            step += 1
    with torch.no_grad():
        model.output.weight.copy_(weight / scale)
        model.output.bias.copy_(bias - (weight / scale) @ mean)
