"""Compare every text that README.md and docs/ show of the tables of results with what these tables give.

python -m benchmarks.reports.check [--figures]

Letter by letter; prints what differs and ends non-zero if something does. --figures also draws the figures
again and compares the files, which other releases of matplotlib make otherwise.
"""

import argparse
import difflib
import json
import tempfile
from pathlib import Path

from benchmarks.paths import DOCS, RESULTS
from benchmarks.reports.numbers import fill
from benchmarks.reports.pages import README, draw_figures, make_files, make_texts, read_block


def compare_texts(results=RESULTS, docs=DOCS):
    """Return the differences of each text that is another one: a dict of page and name to lines."""
    files, readme = make_files(results), (docs / README).read_text()
    pairs = {(page, name): (read_block(docs / page, name), made) for (page, name), made in make_texts(results).items()}
    pairs |= {(path, "file"): ((docs / path).read_text(), made) for path, made in files.items()}
    pairs[README, "figures"] = readme, fill(readme, json.loads(files["numbers.json"]))
    differences = {}
    for key, (written, made) in pairs.items():
        if written != made:
            lines = difflib.unified_diff(written.splitlines(), made.splitlines(), "written", "made", lineterm="", n=0)
            differences[key] = list(lines)
    return differences


def compare_figures(results=RESULTS, docs=DOCS):
    """Return the figures whose files are other ones."""
    with tempfile.TemporaryDirectory() as folder:
        draw_figures(folder, results)
        made = {path.relative_to(folder): path.read_bytes() for path in Path(folder).rglob("*.*")}
    return [path for path, content in made.items() if (docs / path).read_bytes() != content]


def main(arguments=None):
    """Print the differences; return their number."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the tables")
    parser.add_argument("--docs", type=Path, default=DOCS, help="folder of the pages")
    parser.add_argument("--figures", action="store_true")
    options = parser.parse_args(arguments)
    differences = compare_texts(options.results, options.docs)
    for (page, name), lines in differences.items():
        print(f"{page}, {name}:", *lines, sep="\n")
    figures = compare_figures(options.results, options.docs) if options.figures else []
    for path in figures:
        print(f"{path} is another one")
    print(f"{len(differences)} texts" + (f" and {len(figures)} figures" if options.figures else "") + " differ")
    return len(differences) + len(figures)


if __name__ == "__main__":
    raise SystemExit(main() > 0)
