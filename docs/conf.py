"""Sphinx's configuration: ``make docs`` builds docs/_build/html without a network."""

import importlib
import inspect
import json
import re
import subprocess
import sys
import warnings
from pathlib import Path

FOLDER = Path(__file__).parent
# What runs in place of a released package: the package and the scripts of this checkout.
sys.path.insert(0, str(FOLDER.parent))

from docutils import nodes  # noqa: E402
from docutils.utils.math.latex2mathml import tex2mathml  # noqa: E402
from sphinx import addnodes  # noqa: E402
from sphinx_gallery.sorting import ExplicitOrder  # noqa: E402

from benchmarks.paths import RESULTS  # noqa: E402
from benchmarks.reports import downloads  # noqa: E402
from benchmarks.reports.pages import RIVALS  # noqa: E402
from v2s_sklearn import __version__  # noqa: E402

project = "v2s-sklearn"
author = "v2s-sklearn contributors"
copyright = author
version = release = __version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "examples", "gallery/*.py", "gallery/*.ipynb"]
templates_path = ["_templates"]

# Markdown; headings are targets by the names that GitHub gives them.
myst_enable_extensions = ["colon_fence", "deflist", "fieldlist", "substitution"]
# Figures that stand on more than one page, by name; benchmarks.reports.pages writes the file.
myst_substitutions = json.loads((FOLDER / "numbers.json").read_text())
myst_heading_anchors = 3

# Docstrings; what stands in single backticks is a name, and leads to its page where there is one.
default_role = "py:obj"
autosummary_generate = True
autodoc_typehints = "none"
numpydoc_show_class_members = False
numpydoc_xref_param_type = False
# [source] shows what the class is written in, not what imports it.
viewcode_line_numbers = True
# In the contents of a page `fit`, not `V2SClassifier.fit`.
toc_object_entries_show_parents = "hide"

# What is copied from a block is the code, without prompts and outputs.
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
copybutton_only_copy_prompt_lines = True
copybutton_remove_prompts = True

# Tables by data set that the pages offer for download.
(FOLDER / "tables").mkdir(exist_ok=True)
for path, text in downloads.make_files(RESULTS, RIVALS).items():
    (FOLDER / path).write_text(text)

# Pictures that the package draws: when the site is first built, and after `make clean`. Those of results are in git.
DRAWN = (
    "attention.png",
    "data-flow.svg",
    "embedding-3d.png",
    "embedding-transfer.png",
    "embedding.png",
    "importance.png",
    "reprogrammed-input-paper.png",
    "reprogrammed-input.png",
    "saliency.png",
    "shares.png",
    "sound-series.png",
    "sound-spectrogram.png",
    "sound-voice.png",
    "thumb-importance.png",
    "thumb-spectrogram.png",
    "thumb-waveform.png",
    "training.png",
    "views.png",
    "words.png",
)
if not all((FOLDER / "figures" / name).exists() for name in DRAWN):
    subprocess.run([sys.executable, str(FOLDER / "figures" / "make.py")], check=True)

# Pages
html_theme = "pydata_sphinx_theme"
html_math_renderer = "mathml"
html_title = f"v2s-sklearn {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "logo": {"text": "v2s-sklearn"},
    "navbar_align": "left",
    "navbar_persistent": ["search-button"],
    "show_toc_level": 2,
    "show_prev_next": True,
    "footer_start": ["copyright"],
    "footer_end": ["sphinx-version"],
    "article_header_end": [],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
html_sidebars = {"index": []}

# Examples, in the order in which they are read; each is run once, and again when it changes.
EXAMPLES = [
    "demo.py",
    "grid_search.py",
    "beside_aeon.py",
    "few_labels.py",
    "multivariate.py",
    "hearing.py",
    "importance.py",
    "paper_mode.py",
    "ranking_sources.py",
    "own_acoustic_model.py",
    "hugging_face.py",
    "saving_and_onnx.py",
]
sphinx_gallery_conf = {
    "examples_dirs": "examples",
    "gallery_dirs": "gallery",
    "filename_pattern": r"\.py$",
    "within_subsection_order": ExplicitOrder(EXAMPLES),
    "abort_on_example_error": True,
    "download_all_examples": False,
    "show_signature": False,
    "capture_repr": ("_repr_html_",),
    "image_scrapers": ("matplotlib",),
    "write_computation_times": False,
    "remove_config_comments": True,
    # Pages of the reference show the examples that use their object.
    "backreferences_dir": "api/examples",
    "doc_module": ("v2s_sklearn",),
}

# Figures of displays that no example draws: name of the object, file in docs/figures, what it shows.
PICTURES = {
    "AttentionDisplay": ("attention.png", "Attention weights of v2sa over the points of a series"),
    "EmbeddingDisplay": ("embedding.png", "t-SNE before and after reprogramming"),
    "LabelMappingDisplay": ("words.png", "Spoken words that stand for two classes"),
    "ModulationView": ("reprogrammed-input.png", "A series, the voice it steers, and its spectrogram"),
    "PadView": ("reprogrammed-input-paper.png", "A short series in the padded waveform of the paper"),
    "ReprogrammedInputDisplay": ("reprogrammed-input.png", "A series, the voice it steers, and its spectrogram"),
    "SaliencyDisplay": ("saliency.png", "Class activation maps of the convolutions of v2sc"),
    "TrainingDisplay": ("training.png", "Loss, accuracy and alignment by epoch"),
    "V2SClassifier": ("views.png", "What four views make of a series, and what each adds to the decision"),
    "ViewsDisplay": ("views.png", "What four views make of a series, and what each adds to the decision"),
    "importance": ("importance.png", "What occlusion marks in a series"),
}
autosummary_context = {"pictures": PICTURES}

# Files of the repository that are pages of the site: pages that refer to the file lead to the page.
PAGES = {
    "benchmarks/NOTES.md": "/results/notes.md",
    "CHANGELOG.md": "/project/changelog.md",
    "CONTRIBUTING.md": "/project/contributing.md",
    "docs/add_a_view.md": "/add_a_view.md",
    "SECURITY.md": "/project/security.md",
}


def lead_to_pages(text):
    """Return the text of a page as the site shows it: links to files of the repository lead to their pages."""
    for file, page in PAGES.items():
        text = re.sub(rf"\]\((?:\.\./)*{re.escape(file)}", f"]({page}", text)
    # The empty line that ends the last output of a doctest.
    return re.sub(r"(```python\n(?:(?!```).)*?)\n+```", r"\1\n```", text, flags=re.DOTALL)


def _source_read(app, docname, source):
    source[0] = lead_to_pages(source[0])


def _include_read(app, path, docname, source):
    source[0] = lead_to_pages(source[0])


def _signatures(doctree):
    for description in doctree.findall(addnodes.desc):
        if description.get("domain") == "py":
            yield from (node for node in description if isinstance(node, addnodes.desc_signature))


def _name_where_written(app, doctree):
    """Name inherited methods by the class that writes them, so that [source] finds them there."""
    for node in _signatures(doctree):
        found = importlib.import_module(node["module"])
        for name in node["fullname"].split("."):
            found = inspect.unwrap(getattr(found, name, None))
        if str(getattr(found, "__module__", "")).startswith("v2s_sklearn") and "." in node["fullname"]:
            node["documented"] = node["module"], node["fullname"]
            node["module"], node["fullname"] = found.__module__, found.__qualname__


def _name_where_documented(app, doctree):
    for node in _signatures(doctree):
        if "documented" in node:
            node["module"], node["fullname"] = node["documented"]
            del node["documented"]


def write_math(self, node):
    """Write a formula as MathML, which browsers draw by themselves: no script is fetched from a network."""
    block = isinstance(node, nodes.math_block)
    formula = tex2mathml(node.astext(), as_block=block)
    self.body.append(f'<div class="math">{formula}</div>' if block else formula)
    raise nodes.SkipNode


def setup(app):
    """Connect what this file adds to Sphinx."""
    app.add_html_math_renderer("mathml", inline_renderers=(write_math, None), block_renderers=(write_math, None))
    app.connect("source-read", _source_read)
    app.connect("include-read", _include_read)
    # Before and after sphinx.ext.viewcode, whose priority is 500.
    app.connect("doctree-read", _name_where_written, priority=400)
    app.connect("doctree-read", _name_where_documented, priority=600)


# Of the libraries that examples call; what the package itself says stays.
warnings.filterwarnings("ignore", module="torch|skorch|aeon|numba")
