"""The front end of the acoustic models, under its public name."""

from v2s_sklearn.acoustic.frontend import LogMel

__all__ = ["LogMel"]
