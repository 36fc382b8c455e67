"""What is in the sdist and the wheel that ``make check-dist`` has built in ``dist/``."""

import hashlib
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Of the repository, not in the sdist.
LEFT_OUT = (".gitignore", "benchmarks/results/predictions.npz")


@pytest.fixture(scope="module")
def tracked():
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True).stdout
    return {name for name in listed.split("\0") if name}


@pytest.fixture(scope="module")
def wheel():
    (path,) = (ROOT / "dist").glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        yield archive


@pytest.fixture(scope="module")
def sdist():
    (path,) = (ROOT / "dist").glob("*.tar.gz")
    with tarfile.open(path) as archive:
        names = [member.name.partition("/")[2] for member in archive.getmembers() if member.isfile()]
    return {name for name in names if not name.startswith("v2s_sklearn.egg-info/")}


def test_the_wheel_is_the_package_and_nothing_else(wheel, tracked):
    names = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert names == {name for name in tracked if name.startswith("v2s_sklearn/")}
    assert "v2s_sklearn/py.typed" in names


def test_each_model_of_the_wheel_has_its_card_and_its_checksum(wheel):
    weights = "v2s_sklearn/acoustic/weights/"
    lines = wheel.read(f"{weights}SHA256SUMS").decode().splitlines()
    checksums = {name: digest for digest, name in map(str.split, lines)}
    assert len(checksums) == 11
    cards = wheel.read(f"{weights}CARDS.md").decode()
    for name, digest in checksums.items():
        assert hashlib.sha256(wheel.read(weights + name)).hexdigest() == digest
        assert f"# {name.removesuffix('.safetensors')}\n" in cards


def test_source_logits_are_in_the_wheel(wheel):
    assert wheel.getinfo("v2s_sklearn/alignment/source_logits.safetensors").file_size > 100_000


def test_the_licence_is_in_the_wheel(wheel):
    (licence,) = [name for name in wheel.namelist() if name.endswith("/LICENSE")]
    assert wheel.read(licence) == (ROOT / "LICENSE").read_bytes()


def test_the_sdist_has_what_the_tests_need(sdist, tracked):
    assert sdist - {"PKG-INFO", "setup.cfg"} == {name for name in tracked if not name.startswith(LEFT_OUT)}
