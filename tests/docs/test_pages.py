"""What the pages of the site say of the repository is so."""

import ast
import importlib
import inspect
import re
from pathlib import Path

import numpy as np
import pytest

from v2s_sklearn.alignment.logits import LOGITS_FILE, read_source_logits

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def literals():
    """Return every text in the package's source, parts between placeholders apart, in one string."""
    found = []
    for path in (ROOT / "v2s_sklearn").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return "\0".join(found)


@pytest.mark.parametrize(
    ("page", "least", "foreign"),
    [
        ("troubleshooting.md", 30, {"features, but", "inconsistent numbers of samples", "Input y contains NaN."}),
        ("your_table.md", 9, {"Found input variables with inconsistent numbers of samples"}),
    ],
)
def test_pages_explain_messages_that_the_package_has(page, least, foreign):
    messages = re.findall(r"^\*\*`(.+)`\*\*$", (DOCS / "guide" / page).read_text(), flags=re.M)
    assert len(messages) > least
    assert foreign <= set(messages)  # scikit-learn's
    texts = literals()
    missing = [
        message
        for message in messages
        for part in message.split("...")
        if message not in foreign and part.strip() not in texts
    ]
    assert not missing


@pytest.mark.parametrize(
    ("page", "files"),
    [
        ("results/model_cards.md", sorted((ROOT / "v2s_sklearn" / "acoustic" / "weights").glob("*.md"))),
        ("results/notes.md", [ROOT / "benchmarks" / "NOTES.md"]),
        ("project/changelog.md", [ROOT / "CHANGELOG.md"]),
        ("project/contributing.md", [ROOT / "CONTRIBUTING.md"]),
        ("project/security.md", [ROOT / "SECURITY.md"]),
    ],
)
def test_pages_include_the_files_of_the_repository(page, files):
    path = DOCS / page
    included = re.findall(r"^```\{include\} (\S+)$", path.read_text(), flags=re.M)
    assert sorted((path.parent / file).resolve() for file in included) == files


@pytest.mark.parametrize("module", ["", ".alignment", ".errors", ".inspection", ".views"])
def test_the_reference_has_every_public_name(module):
    reference = "".join(page.read_text() for page in (DOCS / "api").glob("*.rst")).split()
    module = importlib.import_module(f"v2s_sklearn{module}")
    classes = [name for name, value in vars(module).items() if isinstance(value, type)]
    public = getattr(module, "__all__", classes)
    assert [name for name in public if callable(getattr(module, name)) and name not in reference] == []


def names_of_the_reference():
    """Return the names that the pages of the reference list, with their modules."""
    for page in sorted((DOCS / "api").glob("*.rst")):
        module, listed = "", False
        for line in page.read_text().splitlines():
            if line.startswith(".. "):
                module = line.split("::")[1].strip() if line.startswith(".. currentmodule") else module
                listed = line.startswith(".. autosummary")
            elif listed and re.fullmatch(r" {3}[\w.]+", line):
                yield f"{module}.{line.strip()}"


def test_every_name_of_the_reference_is_there():
    names = list(names_of_the_reference())
    assert len(names) > 60
    assert len(set(names)) == len(names)
    for name in names:
        module, _, last = name.rpartition(".")
        assert hasattr(importlib.import_module(module), last), name


def test_every_page_is_led_to():
    pages = {path.relative_to(DOCS).with_suffix("") for path in DOCS.rglob("*.md")}
    listed = set()
    for path in [DOCS / "index.md", *DOCS.rglob("*.md")]:
        for tree in re.findall(r"^```\{toctree\}\n(.*?)^```", path.read_text(), flags=re.M | re.S):
            for line in tree.splitlines():
                if line and not line.startswith(":"):
                    listed |= {
                        found.resolve().relative_to(DOCS).with_suffix("") for found in path.parent.glob(f"{line}.md")
                    }
    assert pages - listed == {Path("index")}


def test_code_that_is_shown_but_not_run_is_python_and_names_what_is_there():
    found = 0
    for path in DOCS.rglob("*.md"):
        for code in re.findall(r"^```python\n(.*?)^```", path.read_text(), flags=re.M | re.S):
            if ">>>" in code:
                continue
            for node in ast.walk(ast.parse(code, filename=path.name)):
                if isinstance(node, ast.ImportFrom) and node.module.startswith("v2s_sklearn"):
                    found += 1
                    module = importlib.import_module(node.module)
                    assert all(hasattr(module, name.name) for name in node.names), path.name
    assert found > 2


def setting(name):
    """Return a value that docs/conf.py assigns, without running the file."""
    (value,) = [
        ast.literal_eval(node.value)
        for node in ast.parse((DOCS / "conf.py").read_text()).body
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", None) == name
    ]
    return value


def is_there(path):
    """Return whether a file is in the repository, or one of those that are drawn when the site is made."""
    return path.exists() or (path.parent == DOCS / "figures" and path.name in setting("DRAWN"))


def test_every_figure_of_the_site_has_a_text_and_a_file():
    for path in DOCS.rglob("*.md"):
        for text, file in re.findall(r"!\[(.*?)\]\((\S+?)\)", path.read_text(), flags=re.S):
            assert text.strip(), f"{path.name}: {file} has no text"
            assert is_there((path.parent / file).resolve()), f"{path.name}: {file}"


def test_pictures_of_the_reference_are_there():
    names = {name.rpartition(".")[2] for name in names_of_the_reference()}
    for name, (file, text) in setting("PICTURES").items():
        assert name in names
        assert is_there(DOCS / "figures" / file)
        assert text


def test_every_name_of_the_reference_has_an_example_or_a_picture():
    used = "".join(path.read_text() for path in (DOCS / "examples").glob("*.py"))
    bare = []
    for name in names_of_the_reference():
        module, _, last = name.rpartition(".")
        documented = inspect.getdoc(getattr(importlib.import_module(module), last)) or ""
        if ">>>" not in documented and last not in setting("PICTURES") and not re.search(rf"\b{last}\b", used):
            bare.append(name)
    assert not bare


def test_every_display_has_a_picture_in_the_reference():
    inspection = importlib.import_module("v2s_sklearn.inspection")
    displays = {name for name in inspection.__all__ if name.endswith("Display")}
    assert len(displays) > 5
    assert displays <= set(setting("PICTURES"))


@pytest.mark.parametrize("example", sorted((DOCS / "examples").glob("*.py")), ids=lambda path: path.stem)
def test_thumbnails_of_examples_are_there(example):
    for file in re.findall(r"sphinx_gallery_thumbnail_path = \"(.+)\"", example.read_text()):
        assert is_there(DOCS / file)


def test_every_example_has_its_place_in_the_gallery():
    order = setting("EXAMPLES")
    assert sorted(order) == sorted(path.name for path in (DOCS / "examples").glob("*.py"))


def test_every_function_says_what_it_does():
    silent = []
    for path in (ROOT / "v2s_sklearn").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
                setter = any(isinstance(line, ast.Attribute) and line.attr == "setter" for line in node.decorator_list)
                if not setter and not ast.get_docstring(node):
                    silent.append(f"{path.name}: {node.name}")
    assert not silent


def test_the_table_of_source_logits_is_that_of_the_packaged_file():
    lines = (DOCS / "alignment.md").read_text().splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("| source |"))
    rows = [[cell.strip() for cell in line.strip("|").split("|")[1:]] for line in lines[start : start + 4]]
    sources, _, clips, accuracies = rows
    packaged = read_source_logits(LOGITS_FILE)
    assert sorted(sources) == sorted(packaged)
    for source, n_clips, accuracy in zip(sources, clips, accuracies, strict=True):
        (logits, labels), _ = packaged[source]
        assert (n_clips, accuracy) == (str(len(labels)), f"{100 * np.mean(logits.argmax(1) == labels):.1f}")
