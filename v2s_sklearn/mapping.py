"""Source labels to target labels: the paper's many-to-one mappings, and a learned one.

Shape legend: B batch, N training cases, K source classes, C target classes, D embedding.
"""

import math

import numpy as np
import torch
from torch import nn

from v2s_sklearn.errors import InvalidParameterError
from v2s_sklearn.ridge import solve_ridge

# In deviations. Outliers weigh less, and a value that hardly varies in training may be thousands away in a new case.
STANDARDISED_LIMIT = 2.0


def labels_per_class(n_source, n_target):
    """Return floor(K / C), the number of source classes of each target class.

    Raises
    ------
    InvalidParameterError
        If there are more target than source classes.
    """
    if n_target > n_source:
        raise InvalidParameterError(
            f"A many-to-one mapping needs at least as many source as target classes, got {n_source} source and "
            f"{n_target} target classes. Use mapping='ridge', which has no such limit, or another acoustic model."
        )
    return n_source // n_target


def random_mapping(n_source, n_target, random_state):
    """Assign floor(K / C) distinct random source classes to each target class.

    Parameters
    ----------
    n_source, n_target : int
        K and C.
    random_state : numpy.random.RandomState

    Returns
    -------
    ndarray of shape (C, floor(K / C)), int
        Source classes of each target class.

    References
    ----------
    .. [1] Voice2Series, ICML 2021, section 3 (many-to-one label mapping).
    """
    size = labels_per_class(n_source, n_target)
    return random_state.permutation(n_source)[: size * n_target].reshape(n_target, size)


def frequency_mapping(source_probabilities, labels, n_target, sample_weight):
    """Assign source classes to the target class whose cases they are predicted for most often.

    Pairs of a target and a source class are taken in descending order of how often the acoustic model, before any
    training, predicts the source class for cases of the target class; each source class is given once and each target
    class takes floor(K / C).

    Parameters
    ----------
    source_probabilities : ndarray of shape (N, K)
        Of the training cases, padded.
    labels : ndarray of shape (N,), int
        Target classes.
    n_target : int
        C.
    sample_weight : ndarray of shape (N,)

    Returns
    -------
    ndarray of shape (C, floor(K / C)), int

    References
    ----------
    .. [1] Y.-Y. Tsai, P.-Y. Chen, T.-Y. Ho, Transfer learning without knowing, ICML 2020 (frequency mapping).
    """
    n_source = source_probabilities.shape[1]
    size = labels_per_class(n_source, n_target)
    predicted = source_probabilities.argmax(axis=1)
    counts = np.zeros((n_target, n_source))
    np.add.at(counts, (labels, predicted), sample_weight)
    # The mean probability, below one count, breaks the many ties of rarely predicted classes.
    for target in range(n_target):
        chosen = labels == target
        counts[target] += 1e-6 * np.average(source_probabilities[chosen], axis=0, weights=sample_weight[chosen])
    assignment = [[] for _ in range(n_target)]
    free = np.ones(n_source, dtype=bool)
    for pair in np.argsort(-counts, axis=None, kind="stable"):
        target, source = divmod(int(pair), n_source)
        if free[source] and len(assignment[target]) < size:
            assignment[target].append(source)
            free[source] = False
    return np.array(assignment)


class ManyToOneMapping(nn.Module):
    """Target probability = mean of the source probabilities over the assigned source classes.

    Parameters
    ----------
    assignment : ndarray of shape (C, floor(K / C)), int

    References
    ----------
    .. [1] Voice2Series, ICML 2021, section 3 (many-to-one label mapping).
    """

    takes = "logits"

    def __init__(self, assignment):
        super().__init__()
        self.register_buffer("assignment", torch.as_tensor(assignment))

    def forward(self, logits):
        """Return the log of the mean source probabilities: source logits (B, K) to (B, C)."""
        log_probabilities = torch.log_softmax(logits, dim=1)
        return torch.logsumexp(log_probabilities[:, self.assignment], dim=2) - math.log(self.assignment.shape[1])

    def mapping_numpy(self):
        """Return the source classes of each target class, (C, floor(K / C))."""
        return self.assignment.cpu().numpy()


class LinearMapping(nn.Module):
    """Learned mapping: a linear function of the standardised embeddings, started at ridge regression.

    Computed in double precision, since thousands of embedding values are summed.

    Parameters
    ----------
    groups : sequence of (int, int)
        How many of the D embedding values come from each acoustic model, and from how many waveforms. To the ridge each
        waveform counts the same, whatever its number of values.
    n_target : int
        C.

    Attributes
    ----------
    weight : Parameter of shape (D, C)
    bias : Parameter of shape (C,)
    alpha : tensor of shape ()
        The ridge penalty that leave-one-out chose.
    sharpness : tensor of shape ()
        The factor on the ridge's decision values that calibrates their softmax.
    """

    takes = "embeddings"

    def __init__(self, groups, n_target):
        super().__init__()
        self.groups = groups
        n_embedding = sum(n_values for n_values, _ in groups)
        self.register_buffer("mean", torch.zeros(n_embedding, dtype=torch.float64))
        self.register_buffer("scale", torch.ones(n_embedding, dtype=torch.float64))
        self.weight = nn.Parameter(torch.zeros(n_embedding, n_target, dtype=torch.float64))
        self.bias = nn.Parameter(torch.zeros(n_target, dtype=torch.float64))
        self.register_buffer("alpha", torch.zeros((), dtype=torch.float64))
        self.register_buffer("sharpness", torch.ones((), dtype=torch.float64))

    @torch.no_grad()
    def solve(self, embeddings, labels, sample_weight):
        """Set the weights to the ridge solution, scaled so that its softmax is calibrated on left-out cases.

        Parameters
        ----------
        embeddings : ndarray of shape (N, D)
        labels : ndarray of shape (N,), int
        sample_weight : ndarray of shape (N,)
            Positive.
        """
        x = embeddings.astype(np.float64)
        total = sample_weight.sum()
        mean = sample_weight @ x / total
        x -= mean
        scale = np.sqrt(sample_weight @ x**2 / total)
        # A constant value of the embedding carries nothing, and its spread is rounding noise.
        scale[scale < 1e-6 * (1 + np.abs(mean))] = np.inf
        x /= scale
        np.clip(x, -STANDARDISED_LIMIT, STANDARDISED_LIMIT, out=x)
        factors = self._factors(np.isfinite(scale))
        x *= factors
        ridge = solve_ridge(x, labels, sample_weight, len(self.bias))
        self.alpha.fill_(ridge.alpha)
        self.sharpness.fill_(ridge.sharpness)
        for target, value in (
            (self.mean, mean),
            (self.scale, scale),
            (self.weight, self.sharpness.item() * factors[:, None] * ridge.coef),
            (self.bias, self.sharpness.item() * ridge.intercept),
        ):
            target.copy_(torch.from_numpy(value))

    def _factors(self, varies):
        """Return factors of the values (D,) that make each model's sum of squares that of its waveforms' share.

        Only values that vary (D,) count.
        """
        n_values, n_waveforms = np.array(self.groups).T
        group = np.repeat(np.arange(len(n_values)), n_values)
        n_varying = np.bincount(group, weights=varies, minlength=len(n_values))
        share = n_waveforms * (n_varying > 0) / max(1, n_waveforms @ (n_varying > 0))
        return np.sqrt(share * varies.sum() / np.maximum(n_varying, 1))[group]

    def forward(self, embeddings):
        """Return the log-probabilities of the target classes: (B, D) to (B, C)."""
        standardised = (embeddings.double() - self.mean) / self.scale
        standardised = standardised.clamp(-STANDARDISED_LIMIT, STANDARDISED_LIMIT)
        return torch.log_softmax(standardised @ self.weight + self.bias, dim=1)

    def mapping_numpy(self):
        """Return the weights of the embedding values for each target class, (D, C)."""
        return self.weight.detach().cpu().numpy()
