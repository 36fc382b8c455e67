"""Training of source models: ``python -m v2s_sklearn.pretrain``."""
