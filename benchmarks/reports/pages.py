"""All that README.md and docs/ show of the tables of results: which text stands where, which figure is which file.

python -m benchmarks.reports.pages

writes all of it; `benchmarks.reports.check` compares it with what is there. A text stands between the comments
``<!-- name: begin -->`` and ``<!-- name: end -->`` of a page. Single figures are those of `benchmarks.reports.numbers`.
"""

import argparse
import json
from pathlib import Path

from benchmarks.paths import DOCS, RESULTS
from benchmarks.reports import accuracy, headline, numbers, reproduction
from benchmarks.reports.figures import draw_accuracies, draw_training
from benchmarks.reports.sizing import sizing_report
from benchmarks.reports.sources import controls_table, ranking_table, sources_table
from benchmarks.run.tables import read_table
from v2s_sklearn.files.writing import write_atomically

RIVALS = ["V2S", "MiniRocket", "MultiRocketHydra"]
# From docs/.
README = "../README.md"


def make_texts(results=RESULTS):
    """Return the texts: a dict of page, relative to docs/, and name to Markdown."""
    runs = accuracy.read_results(results, accuracy.CLASSIFIERS)
    calibrated = accuracy.compared(accuracy.read_results(results, accuracy.CALIBRATED), accuracy.CALIBRATED)
    published = Path(results) / "published_resampled.csv"
    ranking = read_table(results, "ranking")
    first = headline.headline_table(results)
    few, multivariate = (
        accuracy.read_results(results, RIVALS, setting=setting) for setting in ("few_labels", "multivariate")
    )
    texts = {
        (README, "headline"): first,
        ("index.md", "headline"): first,
        ("benchmark.md", "headline"): first,
        ("benchmark.md", "outside"): headline.outside_table(results),
        ("benchmark.md", "few outside"): headline.few_labels_table(results),
        ("benchmark.md", "report"): accuracy.make_report(
            accuracy.compared(runs, accuracy.CLASSIFIERS), accuracy.CLASSIFIERS
        ),
        ("benchmark.md", "resampled"): accuracy.resampled_report(runs, "V2S", accuracy.RESAMPLED, published),
        ("benchmark.md", "calibration"): accuracy.calibration_report(calibrated, accuracy.CALIBRATED),
        ("benchmark.md", "few"): accuracy.few_labels_report(few, RIVALS),
        ("benchmark.md", "few rest"): accuracy.few_labels_report(
            accuracy.read_results(results, RIVALS, split="train", setting="few_labels"), RIVALS
        ),
        ("benchmark.md", "multivariate"): accuracy.multivariate_report(multivariate, RIVALS),
        ("guide/series.md", "missing values"): accuracy.missing_report(read_table(results, "missing_values"), RIVALS),
        ("acoustic_models.md", "sources"): sources_table(read_table(results, "sources"), ranking),
        ("speech.md", "controls"): controls_table(read_table(results, "controls")),
        ("alignment.md", "ranking"): ranking_table(ranking),
        ("cluster.md", "sizing"): sizing_report(results),
    }
    blocks, *_ = reproduction.make_blocks(results)
    return texts | {("reproduction/index.md", name): text for name, text in blocks.items()}


def make_files(results=RESULTS):
    """Return the files that are made as a whole: a dict of path, relative to docs/, to text."""
    return {"numbers.json": numbers.to_json(numbers.make_numbers(results))}


def draw_figures(folder, results=RESULTS):
    """Draw the figures to their places below a folder such as docs/."""
    folder = Path(folder)
    (folder / "reproduction").mkdir(parents=True, exist_ok=True)
    headline.draw_figures(folder / "figures", results)
    _, table, traces = reproduction.make_blocks(results)
    draw_accuracies(table, folder / "reproduction" / "accuracy.png")
    draw_training(traces, folder / "reproduction" / "training.png")


def _marks(name):
    return f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->"


def read_block(path, name):
    """Return what stands between the comments of a text in a page."""
    begin, end = _marks(name)
    return path.read_text().split(begin)[1].split(end)[0]


def replace_block(path, name, text):
    """Put a text between its comments in a page."""
    begin, end = _marks(name)
    before, rest = path.read_text().split(begin)
    write_atomically(path, (before + begin + text + end + rest.split(end)[1]).encode())


def main(arguments=None):
    """Write texts and figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the tables")
    parser.add_argument("--docs", type=Path, default=DOCS, help="folder of the pages")
    options = parser.parse_args(arguments)
    for (page, name), text in make_texts(options.results).items():
        replace_block(options.docs / page, name, text)
    files = make_files(options.results)
    for path, text in files.items():
        (options.docs / path).parent.mkdir(exist_ok=True)
        write_atomically(options.docs / path, text.encode())
    readme = options.docs / README
    write_atomically(readme, numbers.fill(readme.read_text(), json.loads(files["numbers.json"])).encode())
    draw_figures(options.docs, options.results)


if __name__ == "__main__":
    main()
