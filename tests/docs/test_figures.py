"""A figure that stands on more than one page comes from docs/numbers.json, which is made from the tables of results."""

import json
import re

import pytest

from benchmarks.paths import DOCS, ROOT

NUMBERS = json.loads((DOCS / "numbers.json").read_text())
PAGES = sorted(path for path in DOCS.rglob("*.md") if "_build" not in path.parts and "gallery" not in path.parts)
# Accuracies and leads with two decimals: figures that stand for one thing only.
OWN = {value.lstrip("+-") for value in NUMBERS.values() if re.fullmatch(r"[+-]?\d{2}\.\d{2}", value)}


def typed(text):
    """Return a text without what is made from the tables: blocks between comments, and marked figures."""
    text = re.sub(r"<!-- ([\w ]+): begin -->.*?<!-- \1: end -->", "", text, flags=re.DOTALL)
    return re.sub(r"\S+<!--[a-z0-9_]+-->", "", text)


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(DOCS).as_posix())
def test_pages_name_figures_that_exist(page):
    names = re.findall(r"\{\{\s*(\w+)\s*\}\}", page.read_text())
    assert [name for name in names if name not in NUMBERS] == []


@pytest.mark.parametrize("page", [*PAGES, ROOT / "README.md"], ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_page_has_typed_a_figure_that_has_a_name(page):
    figures = re.findall(r"(?<![\d.])\d{2}\.\d{2}(?![\d.])", typed(page.read_text()))
    assert sorted(set(figures) & OWN) == []


def test_what_is_typed_is_found():
    text = "It has 87.74 %. <!-- a: begin -->\n86.57\n<!-- a: end --> **85.14<!--split_minirocket-->**"
    assert typed(text).split() == ["It", "has", "87.74", "%.", "**"]


def test_readme_is_short_and_begins_with_what_it_needs():
    text = (ROOT / "README.md").read_text()
    assert len(text.split()) <= 750
    assert text.index("make demo") < text.index("make test") < text.index(">>> ")
