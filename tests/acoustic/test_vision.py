"""What can be tested of image networks without torchvision; the rest lies in tests/vision."""

import sys

import pytest

from v2s_sklearn import V2SClassifier, load_acoustic_model
from v2s_sklearn.errors import MissingDependencyError


def test_without_torchvision_the_error_says_what_to_install(monkeypatch, italy):
    for module in ("torchvision", "torchvision.models"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'v2s-sklearn\[vision\]'"):
        load_acoustic_model("torchvision:resnet18")
    with pytest.raises(ImportError, match="torchvision"):
        V2SClassifier("torchvision:resnet18").fit(*italy[:2])
