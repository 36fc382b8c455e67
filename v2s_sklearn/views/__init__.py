"""Views: from a series to features, by an input transformation, a frozen model, and pooling of its activations."""

from v2s_sklearn.runtime.portable_modules import ArrayModule
from v2s_sklearn.views.contour import ContourView
from v2s_sklearn.views.modulation import DEFAULT_VOICES, ModulationView, Voice
from v2s_sklearn.views.pad import PadView
from v2s_sklearn.views.plan import DEFAULT_SOURCES, VIEWS, Plan, plan_views, register_view
from v2s_sklearn.views.playback import PlaybackView
from v2s_sklearn.views.view import View
from v2s_sklearn.views.waveforms import stretch

__all__ = [
    "DEFAULT_SOURCES",
    "DEFAULT_VOICES",
    "VIEWS",
    "ArrayModule",
    "ContourView",
    "ModulationView",
    "PadView",
    "Plan",
    "PlaybackView",
    "View",
    "Voice",
    "plan_views",
    "register_view",
    "stretch",
]
