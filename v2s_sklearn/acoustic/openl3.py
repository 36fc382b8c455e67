"""OpenL3, under its public name."""

from v2s_sklearn.acoustic.networks.openl3 import OpenL3, fit_head, load_openl3

__all__ = ["OpenL3", "fit_head", "load_openl3"]
