"""What can be tested of image networks without torchvision; the rest lies in tests/vision."""

import sys

import pytest

from v2s_sklearn import V2SClassifier, load_acoustic_model
from v2s_sklearn.errors import AcousticModelNotFoundError, MissingDependencyError


def test_without_torchvision_the_error_says_what_to_install(monkeypatch, italy):
    for module in ("torchvision", "torchvision.models"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'v2s-sklearn\[vision\]'"):
        load_acoustic_model("torchvision:resnet18")
    with pytest.raises(ImportError, match="torchvision"):
        V2SClassifier("torchvision:resnet18").fit(*italy[:2])


@pytest.mark.parametrize("name", ["", "/", "vit_b_16", "x" * 300])
def test_a_name_of_no_family_is_refused_without_torchvision_too(name, italy):
    with pytest.raises(AcousticModelNotFoundError, match="There is no image network .* that begins with"):
        load_acoustic_model(f"torchvision:{name}")
    with pytest.raises(ValueError, match="acoustic_model cannot be used"):
        V2SClassifier(f"torchvision:{name}").fit(*italy[:2])
