"""The torch module: views of a series -> embedding or source logits -> mapping.

Shape legend: B batch, C channels, T time points, G waveforms of a case, S waveform samples, K source classes,
D embedding.
"""

import copy
import math

import torch
from torch import nn

from v2s_sklearn.runtime.parallel import side_by_side
from v2s_sklearn.runtime.portable_modules import ArrayModule
from v2s_sklearn.runtime.threads import check_n_jobs
from v2s_sklearn.series.scaling import SeriesScaler
from v2s_sklearn.views.plan import plan_views

# Waveforms that a model hears at a time. A constant, so that a case has the same bits alone and among others.
CHUNK_WAVEFORMS = 64
# Cases computed at a time, if a model can hear so many: of fewer, those views are slow that make one waveform of a case
# where others make many.
LEAST_CHUNK_CASES = 16


def cases_per_pass(n_waveforms):
    """Return how many cases a model hears at a time when each has ``n_waveforms`` waveforms: a power of two.

    Matrix products compute the last rows of other numbers in another way, so that a case would have other bits there.
    """
    return 2 ** int(math.log2(max(1, CHUNK_WAVEFORMS // n_waveforms)))


def in_passes(function, waveforms):
    """Return what a function of waveforms (B, G, S) gives, (B, ...), so many cases at a time as a model hears."""
    return torch.cat([function(part) for part in waveforms.split(cases_per_pass(waveforms.shape[1]))])


class ReprogrammedModel(ArrayModule):
    """Views, each an input transformation heard by a frozen acoustic model, and the mapping.

    Parameters
    ----------
    views : sequence of View
        Fitted. Their theta is trained; the acoustic models are no submodules.
    mapping : torch.nn.Module, optional
        From embeddings or source logits, as its ``takes`` says, to log-probabilities. Without it the module gives
        embeddings.
    """

    def __init__(self, views, mapping=None):
        super().__init__()
        self.views = nn.ModuleList(views)
        self.mapping = mapping
        self.eval()

    @property
    def transformations(self):
        """The input transformations, each once."""
        return list(dict.fromkeys(view.transformation for view in self.views))

    @property
    def n_features(self):
        """Number of embedding values D of all views."""
        return sum(view.n_features for view in self.views)

    @property
    def chunk_cases(self):
        """Cases to be computed at a time in inference."""
        heard = [cases_per_pass(view.n_waveforms) for view in self.views]
        return max(min(heard), min(max(heard), LEAST_CHUNK_CASES))

    def for_inference(self):
        """Return a module that computes the same, in which what does not change between calls is looked up once."""
        twin = copy.copy(self)
        twin._modules["views"] = nn.ModuleList(view.for_inference() for view in self.views)
        return twin

    def blocks(self):
        """Return the parts of the embedding that a stacked mapping takes for a view each: pairs of name and slice."""
        blocks, start = [], 0
        names = [view.acoustic.name for view in self.views]
        for number, view in enumerate(self.views):
            source = names[number] if names.count(names[number]) == 1 else f"{names[number]} {number}"
            for name, columns in view.blocks().items():
                blocks.append((f"{source}: {name}", slice(start + columns.start, start + columns.stop)))
            start += view.n_features
        return blocks

    def waveforms(self, series, lengths):
        """Yield each view and its waveforms, (B, G, S), of series (B, C, T), (B,); one transformation is run once."""
        waveforms = {}
        for view in self.views:
            if view.transformation not in waveforms:
                waveforms[view.transformation] = view.waveforms(series, lengths)
            yield view, waveforms[view.transformation]

    def embed(self, series, lengths):
        """Return the embeddings of all views in a row: (B, C, T), (B,) to (B, D)."""
        return torch.cat(
            [in_passes(view.embed, waveforms) for view, waveforms in self.waveforms(series, lengths)], dim=1
        )

    def precompute(self, series, lengths):
        """Return what training steps need not compute again, arrays with a row a case, by name of the argument."""
        alone = len(self.views) == 1 and self.mapping.takes == "logits"
        return self.views[0].precompute(series, lengths) if alone else {}

    def source_logits(self, series, lengths, spectra=None):
        """Return the source logits: (B, C, T), (B,) to (B, K).

        Several acoustic models have their source classes in a row, and the same share of the probability.
        """
        if torch.is_grad_enabled() and len(self.views) == 1:
            return self.views[0].differentiable_logits(series, lengths, spectra)
        logits = [in_passes(view.source_logits, waveforms) for view, waveforms in self.waveforms(series, lengths)]
        return logits[0] if len(logits) == 1 else torch.cat([torch.log_softmax(one, dim=1) for one in logits], dim=1)

    def forward(self, series, lengths, spectra=None):
        """Return the log-probabilities of the target classes: (B, C, T), (B,) to (B, n_classes).

        ``spectra``, from `precompute`, for training.
        """
        if self.mapping.takes == "logits":
            return self.mapping(self.source_logits(series, lengths, spectra))
        return self.mapping(self.embed(series, lengths))


def fit_views(views, batch, sample_weight=None, n_jobs=None):
    """Fit views to the cases of a `SeriesBatch`, side by side once the transformations that they share are fitted."""
    for view in {view.transformation: view for view in views}.values():
        view.fit_transformation(batch.series, batch.lengths, sample_weight)

    def fit(view):
        """Fit the rest of a view."""
        view.fit_embedding(batch.series, batch.lengths)

    # The last ones of the default take longest.
    tasks = [(view,) for view in reversed(views)]
    for _ in side_by_side(fit, tasks, min(check_n_jobs(n_jobs), len(views)), require="sharedmem"):
        pass


def reprogram(models, X, sample_weight=None, *, max_channels, standardize, seed=0, device, n_jobs=None, **options):
    """Return the input transformation H(x; theta) of some models, fitted without labels, as a network without mapping.

    Parameters
    ----------
    models : sequence of AcousticModel
    X : array of shape (N, C, T), or list of N arrays (C, T_i)
    sample_weight : array of shape (N,), optional
    max_channels, standardize, seed
        See `v2s_sklearn.series.scaling.SeriesScaler`.
    device : torch.device
        Where the network is put.
    n_jobs : int, optional
        Threads, each of which fits a view, in scikit-learn's meaning.
    **options
        See `v2s_sklearn.views.plan.plan_views`.

    Returns
    -------
    scaler : SeriesScaler
    batch : SeriesBatch
        The scaled series.
    network : ReprogrammedModel
    """
    plan = plan_views(models, n_channels=min(X[0].shape[0], max_channels), seed=seed, **options)
    scaler = SeriesScaler(standardize, plan.max_points, max_channels, seed).fit(X, sample_weight)
    batch = scaler.transform(X)
    # Learned on the CPU, since eigenvectors turn with the last bits: what is heard does not depend on the device.
    fit_views(plan.views, batch, sample_weight, n_jobs)
    return scaler, batch, ReprogrammedModel(plan.views).to(device)
