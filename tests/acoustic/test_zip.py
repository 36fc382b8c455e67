"""The package imported from a zip, as zipapps and some clusters do: its models and their logits are found and load."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

import v2s_sklearn
from v2s_sklearn import V2SClassifier, load_acoustic_model
from v2s_sklearn.acoustic.registry import _packaged_models
from v2s_sklearn.alignment import load_source_logits
from v2s_sklearn.alignment.logits import packaged_logits

PACKAGE = Path(v2s_sklearn.__file__).parent
IN_THE_ZIP = """
import json, pickle, sys, tempfile
from pathlib import Path
import numpy as np
import v2s_sklearn
from v2s_sklearn import V2SClassifier, list_acoustic_models, load, load_acoustic_model
from v2s_sklearn.alignment import load_source_logits
from v2s_sklearn.alignment.logits import packaged_logits

assert ".zip" in v2s_sklearn.__file__
X = np.random.default_rng(0).normal(size=(8, 1, 30)).cumsum(axis=2)
clf = V2SClassifier("v2sa", random_state=0).fit(X, [0, 1] * 4)
assert load_acoustic_model("v2sa") is clf.acoustic_model_
assert load_source_logits("v2sa") is load_source_logits("v2sa")
with tempfile.TemporaryDirectory() as folder:
    clf.save(Path(folder) / "clf")
    copies = load(Path(folder) / "clf"), pickle.loads(pickle.dumps(clf))
found = clf.predict_proba(X)
assert all((copy.predict_proba(X) == found).all() for copy in copies)
print(json.dumps({
    "models": list_acoustic_models(), "logits": sorted(packaged_logits()), "probabilities": found.tolist(),
    "digest": load_acoustic_model("wav2vec").source.sha256,
    "first logits": load_source_logits("v2sa").logits[0].tolist(),
}))
"""


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    path = tmp_path_factory.mktemp("zip") / "package.zip"
    with zipfile.ZipFile(path, "w") as file:
        for item in sorted(PACKAGE.rglob("*")):
            if item.is_file() and "__pycache__" not in item.parts:
                file.write(item, Path(PACKAGE.name) / item.relative_to(PACKAGE))
    return path


def run(archive, code):
    environment = {**os.environ, "PYTHONPATH": str(archive)}
    return subprocess.run(
        [sys.executable, "-c", code], cwd=archive.parent, env=environment, capture_output=True, text=True
    )


def test_models_and_logits_are_found_and_loaded(archive):
    result = run(archive, IN_THE_ZIP)
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    assert found["models"] == sorted(_packaged_models())
    assert found["logits"] == sorted(packaged_logits())
    assert found["digest"] == load_acoustic_model("wav2vec").source.sha256
    assert found["first logits"] == load_source_logits("v2sa").logits[0].tolist()
    X = np.random.default_rng(0).normal(size=(8, 1, 30)).cumsum(axis=2)
    clf = V2SClassifier("v2sa", random_state=0).fit(X, [0, 1] * 4)
    np.testing.assert_array_equal(found["probabilities"], clf.predict_proba(X))


def test_a_model_of_the_zip_that_was_changed_is_refused(archive, tmp_path):
    name, changed = "v2s_sklearn/acoustic/weights/v2sa.safetensors", tmp_path / "changed.zip"
    with zipfile.ZipFile(archive) as whole, zipfile.ZipFile(changed, "w") as file:
        for item in whole.infolist():
            content = whole.read(item)
            file.writestr(item, content[:-1] + bytes([content[-1] ^ 1]) if item.filename == name else content)
    result = run(changed, "import v2s_sklearn; v2s_sklearn.load_acoustic_model('v2sa')")
    assert "the file was changed or damaged" in result.stderr
