"""The torch module, inference and gradient training."""
