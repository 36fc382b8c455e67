"""Networks for images, under their public name."""

from v2s_sklearn.acoustic.hub.vision import VisionModel, load_torchvision

__all__ = ["VisionModel", "load_torchvision"]
