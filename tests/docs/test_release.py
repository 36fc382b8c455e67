"""The check of a release: it passes this checkout's files, and finds each thing that does not fit."""

import importlib.util
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = ["v2s_sklearn/_version.py", "pyproject.toml", "CITATION.cff", "CHANGELOG.md", "SECURITY.md"]


@pytest.fixture(scope="module")
def check():
    spec = importlib.util.spec_from_file_location("release_check", ROOT / ".ci" / "release_check.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def checkout(tmp_path):
    for file in FILES:
        (tmp_path / file).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / file, tmp_path / file)
    return tmp_path


def replace(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_these_files_fit_together(check):
    assert check.find_problems(ROOT) == []


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        ("v2s_sklearn/_version.py", '__version__ = "', '__version__ = "9.', "needed is a release"),
        ("CITATION.cff", "version: 0", "version: 7", "CITATION.cff has version 7"),
        ("CITATION.cff", "license: BSD", "license: MIT", "has license MIT"),
        ("CHANGELOG.md", "## ", "## Unreleased\n\n## ", "CHANGELOG.md begins with"),
        ("pyproject.toml", 'dynamic = ["version"]', 'version = "0.1.0"', "a version of its own"),
    ],
)
def test_what_does_not_fit_is_named(check, checkout, file, old, new, said):
    replace(checkout / file, old, new)
    assert said in "\n".join(check.find_problems(checkout))


def test_git_is_asked(check, checkout):
    def git(*arguments):
        who = ["-c", "user.name=A", "-c", "user.email=a@b.c"]
        subprocess.run(["git", *who, *arguments], cwd=checkout, check=True, capture_output=True)

    git("init", "-q")
    git("add", ".")
    git("commit", "-qm", "All")
    assert check.find_git_problems(checkout) == []
    (checkout / "new").touch()
    git("tag", "v" + (checkout / FILES[0]).read_text().rsplit('"', 2)[1])
    clean, tag = check.find_git_problems(checkout)
    assert "not clean" in clean and "already" in tag


def test_placeholders_are_named(check, checkout):
    (checkout / "pyproject.toml").write_text('Source = "https://example.org/v2s"\nHome = "https://real.com"\n')
    (checkout / "SECURITY.md").write_text("Write to **somebody@example.invalid** (a placeholder).\n")
    assert check.left_to_fill_in(checkout) == [
        "pyproject.toml: https://example.org/v2s",
        "SECURITY.md: somebody@example.invalid",
    ]
