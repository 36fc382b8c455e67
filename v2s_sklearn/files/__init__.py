"""Files of tensors and of trees: read with checks, written whole."""
