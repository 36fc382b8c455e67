"""Which source model gets a series through which view."""

from dataclasses import dataclass

from torch import nn

from v2s_sklearn.errors import InvalidParameterError
from v2s_sklearn.views.contour import ContourView
from v2s_sklearn.views.modulation import DEFAULT_VOICES, ModulationView
from v2s_sklearn.views.pad import PadView
from v2s_sklearn.views.playback import PlaybackView
from v2s_sklearn.views.view import View

# What is heard by default. Chosen on training splits, see benchmarks/NOTES.md.
DEFAULT_SOURCES = ("v2sa", "wav2vec", "v2sc", "v2sc-varied")
# With reprogramming="auto" a source is heard through the first that can; those that `register_view` adds come last.
VIEWS: dict[str, type[View]] = {
    "contour": ContourView,
    "playback": PlaybackView,
    "modulation": ModulationView,
    "pad": PadView,
}
PACKAGED_VIEWS = tuple(VIEWS)
# Beside a source that series are played back to, more voices added nothing; of one, that of differences is best.
VOICES_BESIDE_PLAYBACK = DEFAULT_VOICES[1:2]
# Playback hears all channels. Random mixtures of them that the others hear beside it; more added nothing.
SOUNDED_BESIDE_PLAYBACK: dict[type[View], int] = {ModulationView: 1, ContourView: 2}


def register_view(name: str, cls: type[View], overwrite: bool = False) -> None:
    """Make a view of your own available to estimators as ``reprogramming=name``.

    Call it where the class is defined, at the level of the module, so that importing the module registers the view.

    Parameters
    ----------
    name : str
        What estimators are given as ``reprogramming``.
    cls : type
        A subclass of :class:`View` that implements ``max_points``; it is called as ``cls(acoustic, **chosen)``, where
        ``chosen`` holds those arguments of `plan_views` that ``cls.options`` names.
    overwrite : bool, default=False
        Replace a view that was registered under this name before. To register the same class again changes nothing.

    Raises
    ------
    InvalidParameterError
        If the name is no text or taken, or the class is no view, lacks ``max_points`` or has a ``fit`` of its own.

    Notes
    -----
    A name is known in the process that registered it. Other processes, such as the workers of a search, have to import
    the module that registers it. ``reprogramming="auto"`` never chooses a registered view. A fitted estimator with
    such a view can be pickled, where the module can be imported; its ``save`` is refused, because what reads the file
    does not know the class.

    Examples
    --------
    >>> from v2s_sklearn import V2SClassifier
    >>> from v2s_sklearn.views import PadView, register_view
    >>> class ShortPadView(PadView):
    ...     @classmethod
    ...     def max_points(cls, acoustic, n_channels):
    ...         return 500
    >>> register_view("short-pad", ShortPadView)
    >>> V2SClassifier("v2sa", reprogramming="short-pad").reprogramming
    'short-pad'
    """
    if not isinstance(name, str) or not name:
        raise InvalidParameterError(f"The name of a view must be a text that is not empty, got {name!r}.")
    if not (isinstance(cls, type) and issubclass(cls, View)):
        raise InvalidParameterError(
            f"A view must be a subclass of v2s_sklearn.views.View, got {cls!r}. Give the class itself, not an instance."
        )
    if cls.max_points.__func__ is View.max_points.__func__:  # type: ignore[attr-defined]
        raise InvalidParameterError(
            f"{cls.__name__} does not say how long a series may be. Implement the class method "
            "max_points(cls, acoustic, n_channels)."
        )
    if cls.fit is not View.fit:
        raise InvalidParameterError(
            f"{cls.__name__} has a fit of its own, which estimators do not call: they fit an input transformation that "
            "views share once. Implement _fit_pooling, or the fit of the transformation."
        )
    if name == "auto" or name in PACKAGED_VIEWS or (VIEWS.get(name, cls) is not cls and not overwrite):
        raise InvalidParameterError(
            f"There is a view {name!r} already. Take another name, or pass overwrite=True (the package's own, "
            f"{', '.join(PACKAGED_VIEWS)}, and 'auto' cannot be replaced)."
        )
    VIEWS[name] = cls


def choose_kind(acoustic, reprogramming, learned_mapping):
    """Return the class of the view of one acoustic model: with "auto" the first packaged one that can hear with it.

    Raises
    ------
    InvalidParameterError
        If the model cannot be heard in the way asked for.
    """
    if reprogramming == "auto":
        return next(VIEWS[name] for name in PACKAGED_VIEWS if VIEWS[name].hears_with(acoustic, learned_mapping))
    kind = VIEWS[reprogramming]
    if not kind.hears_with(acoustic, learned_mapping):
        raise InvalidParameterError(
            f"reprogramming={reprogramming!r} needs {kind.needs}; {acoustic.name!r} "
            f"cannot be heard so with mapping={'ridge' if learned_mapping else 'random or frequency'}. Take "
            "reprogramming='auto' or 'modulation'."
        )
    return kind


@dataclass(frozen=True)
class Plan:
    """Views that are still to be fitted.

    Attributes
    ----------
    views : tuple of View
        One of each source, in the order of the sources.
    max_points : int
        Time points of a series that all of them can hear.

    Examples
    --------
    >>> from v2s_sklearn import load_acoustic_model
    >>> from v2s_sklearn.views import plan_views
    >>> plan = plan_views([load_acoustic_model("v2sa"), load_acoustic_model("wav2vec")], n_channels=1)
    >>> [type(view).__name__ for view in plan.views]
    ['ModulationView', 'PlaybackView']
    >>> plan.max_points
    3000
    """

    views: tuple
    max_points: int


def plan_views(
    acoustics,
    n_channels,
    *,
    reprogramming="auto",
    learned_mapping=True,
    voices=None,
    **options,
):
    """Return the `Plan` for some acoustic models.

    Models with the same window and sample rate hear the same modulated or padded waveforms, with one theta.

    Parameters
    ----------
    acoustics : sequence of AcousticModel
        Frozen.
    n_channels : int
        Of the scaled series.
    reprogramming : "auto" or a key of ``VIEWS``
    learned_mapping : bool
        Whether the mapping reads embeddings, not source classes.
    voices : sequence of Voice, optional
    **options
        ``n_replicates``, ``dropout`` and ``seed``, see the views.

    Raises
    ------
    InvalidParameterError
        See `choose_kind`, and if ``voices`` is empty or holds something else.

    Examples
    --------
    >>> from v2s_sklearn import load_acoustic_model
    >>> from v2s_sklearn.views import plan_views
    >>> plan = plan_views([load_acoustic_model(name) for name in ("v2sa", "wav2vec", "v2sc")], n_channels=1)
    >>> [type(view).__name__ for view in plan.views]
    ['ModulationView', 'PlaybackView', 'ContourView']
    """
    kinds = [choose_kind(acoustic, reprogramming, learned_mapping) for acoustic in acoustics]
    beside_playback = PlaybackView in kinds
    if voices is None:
        voices = VOICES_BESIDE_PLAYBACK if beside_playback else DEFAULT_VOICES
    options["voices"] = voices
    views: list[View] = []
    shared: dict[tuple, nn.Module] = {}
    for kind, acoustic in zip(kinds, acoustics, strict=True):
        chosen = {name: options[name] for name in kind.options if name in options}
        if beside_playback and kind in SOUNDED_BESIDE_PLAYBACK:
            chosen["max_sounded"] = SOUNDED_BESIDE_PLAYBACK[kind]
        view = kind(acoustic, **chosen)
        view.transformation = shared.setdefault((kind, view.acoustic.window), view.transformation)
        views.append(view)
    max_points = min(kind.max_points(acoustic, n_channels) for kind, acoustic in zip(kinds, acoustics, strict=True))
    return Plan(tuple(views), max_points)
