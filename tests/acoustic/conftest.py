"""Checkpoints of transformers."""

import pytest
from hub_checkpoints import CONFIGS, save_checkpoint


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    return {name: save_checkpoint(name, tmp_path_factory.mktemp(name)) for name in CONFIGS}


@pytest.fixture
def checkpoint(tmp_path):
    return save_checkpoint("wav2vec2", tmp_path / "checkpoint")
