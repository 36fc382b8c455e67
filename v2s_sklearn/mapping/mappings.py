"""Source labels to target labels: the paper's many-to-one mappings, and a learned one.

Shape legend: B batch, N training cases, K source classes, C target classes, D embedding values,
V views of the stack.
"""

import math

import numpy as np
import torch
from torch import nn

from v2s_sklearn.errors import InvalidParameterError
from v2s_sklearn.mapping.embeddings import LIMIT_BYTES, STANDARDISED_LIMIT, as_embeddings, hold, select
from v2s_sklearn.mapping.stacking import moments_of, solve_stack, statistics_cases
from v2s_sklearn.runtime.portable_modules import ArrayModule, to_tensor
from v2s_sklearn.runtime.threads import check_n_jobs


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
        if not chosen.any():
            continue  # a class whose cases have no weight takes what is left over
        counts[target] += 1e-6 * np.average(source_probabilities[chosen], axis=0, weights=sample_weight[chosen])
    assignment = [[] for _ in range(n_target)]
    free = np.ones(n_source, dtype=bool)
    for pair in np.argsort(-counts, axis=None, kind="stable"):
        target, source = divmod(int(pair), n_source)
        if free[source] and len(assignment[target]) < size:
            assignment[target].append(source)
            free[source] = False
    return np.array(assignment)


class ManyToOneMapping(ArrayModule):
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
        self.register_buffer("assignment", to_tensor(assignment))

    def forward(self, logits):
        """Return the log of the mean source probabilities: source logits (B, K) to (B, C)."""
        log_probabilities = torch.log_softmax(logits, dim=1)
        return torch.logsumexp(log_probabilities[:, self.assignment], dim=2) - math.log(self.assignment.shape[1])

    def mapping_numpy(self):
        """Return the source classes of each target class, (C, floor(K / C))."""
        return self.assignment.cpu().numpy()


class LinearMapping(ArrayModule):
    """Learned mapping: a linear function of the standardised embeddings, started at a stack of ridges, one a view.

    Computed in double precision, since thousands of embedding values are summed.

    Parameters
    ----------
    groups : sequence of (str, slice or sequence of int)
        Name of each view of the stack, and which of the D embedding values are its; they may overlap. A slice has a
        start and a stop.
    n_target : int
        C.
    n_features : int, optional
        D, by default as many as the groups reach to.

    Attributes
    ----------
    weight : Parameter of shape (D, C)
    bias : Parameter of shape (C,)
    group_names : tuple of str
    alpha : tensor of shape (V,)
        The penalty of each view's ridge, which leave-one-out chose.
    sharpness : tensor of shape (V,)
        The factors on the ridges' decision values that calibrate their softmax.
    stack_weights : tensor of shape (V,)
        The weights of the views' log-probabilities.
    mean, scale : tensor of shape (D,)
        Of the standardisation; values that do not vary in training have an infinite scale.
    """

    takes = "embeddings"

    def __init__(self, groups, n_target, n_features=None):
        super().__init__()
        self.group_names = tuple(name for name, _ in groups)
        self._columns = [
            np.arange(columns.start, columns.stop) if isinstance(columns, slice) else np.unique(columns)
            for _, columns in groups
        ]
        if n_features is None:
            n_features = 1 + max(columns[-1] for columns in self._columns)
        self.register_buffer("mean", torch.zeros(n_features, dtype=torch.float64))
        self.register_buffer("scale", torch.ones(n_features, dtype=torch.float64))
        self.weight = nn.Parameter(torch.zeros(n_features, n_target, dtype=torch.float64))
        self.bias = nn.Parameter(torch.zeros(n_target, dtype=torch.float64))
        self.register_buffer("alpha", torch.zeros(len(groups), dtype=torch.float64))
        self.register_buffer("sharpness", torch.ones(len(groups), dtype=torch.float64))
        self.register_buffer("stack_weights", torch.zeros(len(groups), dtype=torch.float64))

    @torch.no_grad()
    def solve(self, embeddings, labels, sample_weight, limit_bytes=LIMIT_BYTES, n_jobs=None):
        """Set the weights to a stack of ridges whose softmax is calibrated on left-out cases.

        Parameters
        ----------
        embeddings : Embeddings or ndarray of shape (N, D)
            See `v2s_sklearn.mapping.stacking.solve_stack`.
        labels : ndarray of shape (N,), int
            -1 of cases without one: they tell how the embeddings vary, no more.
        sample_weight : ndarray of shape (N,)
            Positive.
        limit_bytes : int
            Embeddings of at most so many bytes in double precision, or of few cases, are held, others are computed
            again when needed.
        n_jobs : int, optional
            See `v2s_sklearn.mapping.stacking.solve_stack`.

        Raises
        ------
        NotEnoughMemoryError
            If it would take more memory than there is.
        """
        labelled, moments = np.flatnonzero(labels >= 0), None
        if len(labelled) < len(labels):
            embeddings = hold(as_embeddings(embeddings), limit_bytes)
            moments = moments_of(embeddings, sample_weight, statistics_cases(len(labels)), check_n_jobs(n_jobs))
            embeddings = select(embeddings, labelled)
            labels, sample_weight = labels[labelled], sample_weight[labelled]
        n_classes = len(self.bias)
        stack = solve_stack(embeddings, self._columns, labels, sample_weight, n_classes, limit_bytes, n_jobs, moments)
        for target, value in (
            (self.mean, stack.mean),
            (self.scale, stack.scale),
            (self.weight, stack.coef),
            (self.bias, stack.intercept),
            (self.alpha, stack.alpha),
            (self.sharpness, stack.sharpness),
            (self.stack_weights, stack.stack_weights),
        ):
            target.copy_(torch.from_numpy(value))

    def forward(self, embeddings):
        """Return the log-probabilities of the target classes: (B, D) to (B, C)."""
        # In one copy: new memory of this size takes longer than the arithmetic.
        standardised = embeddings.to(torch.float64, copy=True).sub_(self.mean).div_(self.scale)
        standardised = standardised.clamp_(-STANDARDISED_LIMIT, STANDARDISED_LIMIT)
        # Filled up to whole cache lines: a row's last bits depend on where in memory its result lies.
        n_target = self.weight.shape[1]
        weight = nn.functional.pad(self.weight, (0, -n_target % 8))
        return torch.log_softmax((standardised @ weight)[:, :n_target] + self.bias, dim=1)

    def mapping_numpy(self):
        """Return the weights of the embedding values for each target class, (D, C)."""
        return self.weight.detach().cpu().numpy()
