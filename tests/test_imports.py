"""What ``import v2s_sklearn`` brings beside torch and aeon's bases: no more than it needs."""

import json
import subprocess
import sys

BASES = """
import torch
from aeon.classification import BaseClassifier
from aeon.transformations.collection import BaseCollectionTransformer
"""
# What has a use, but not before something is fitted, loaded, drawn or exported.
LATER = (
    "dask", "huggingface_hub", "IPython", "ipywidgets", "matplotlib", "onnx", "onnxruntime", "ot", "PIL", "pyarrow",
    "skorch", "skl2onnx", "tabulate", "torch._dynamo", "torch.onnx._internal.exporter", "torchvision", "tqdm.auto",
    "transformers", "scipy.signal", "scipy.stats", "sklearn.neural_network", "joblib.externals.loky.process_executor",
    "v2s_sklearn.acoustic.hub.huggingface", "v2s_sklearn.acoustic.hub.vision", "v2s_sklearn.alignment",
    "v2s_sklearn.inspection", "v2s_sklearn.pretrain",
)  # fmt: skip
# The contour view stretches series as its source does.
NEEDED_NETWORKS = {"v2s_sklearn.acoustic.networks.contour"}


def modules_after(code):
    code = f"{code}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    return set(json.loads(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout))


def test_the_import_brings_what_it_needs():
    bases, own = modules_after(BASES), modules_after("import v2s_sklearn")
    more = own - bases
    early = [module for module in more if any(f"{module}.".startswith(f"{later}.") for later in LATER)]
    assert not early
    networks = {module for module in more if module.startswith("v2s_sklearn.acoustic.networks.")}
    assert networks <= NEEDED_NETWORKS
    # Whole libraries beside those of the bases: weights are read by one.
    assert {module.partition(".")[0] for module in more} - {module.partition(".")[0] for module in bases} <= {
        "v2s_sklearn",
        "safetensors",
    }


def test_the_names_are_the_things_themselves():
    code = """
import v2s_sklearn
from v2s_sklearn import TransferClassifier, V2SClassifier, V2SFeatures, load, to_onnx
assert all(isinstance(cls, type) for cls in (TransferClassifier, V2SClassifier, V2SFeatures))
assert all(callable(function) for function in (load, to_onnx))
assert set(v2s_sklearn.__all__) <= set(dir(v2s_sklearn))
"""
    assert "skorch" not in modules_after(code)


def test_a_pickle_loads_in_a_process_that_has_not_trained(tmp_path, italy):
    import pickle

    from v2s_sklearn import V2SClassifier

    clf = V2SClassifier("v2sa", reprogramming="pad", mapping="random", max_epochs=1, random_state=0).fit(*italy[:2])
    (tmp_path / "clf.pickle").write_bytes(pickle.dumps(clf))
    code = f"""
import pickle, sys
with open({str(tmp_path / "clf.pickle")!r}, "rb") as file:
    clf = pickle.load(file)
assert type(clf.net_).__module__ == "v2s_sklearn.network.training"
import numpy as np
assert np.isfinite(clf.predict_proba(np.zeros((2, 1, 24)))).all()
"""
    assert "skorch" in modules_after(code)
