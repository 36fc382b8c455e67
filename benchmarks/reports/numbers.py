"""Every figure that stands on more than one page, by name: docs/numbers.json.

python -m benchmarks.reports.numbers

prints them. `benchmarks.reports.pages` writes the file; docs/conf.py gives it to MyST, which puts a value in the place
of its name in double braces. README.md, which has to be readable as it is, has ``value<!--name-->``, and `fill` renews
the value. All values come from the tables in benchmarks/results: runs of ours, published accuracies, and
``constants``, single measurements that have no table, each with its source.
"""

import json
import re
from pathlib import Path

from benchmarks.paths import RESULTS
from benchmarks.reports import accuracy
from benchmarks.reports.published import compare_with_published, read_published
from benchmarks.reports.sources import correlations
from benchmarks.run.tables import read_table

# Names of classifiers, ours and those of published files, in the names of figures.
SLUGS = {
    "V2S": "v2s",
    "V2S-fast": "fast",
    "HC2": "hc2",
    "MultiRocketHydra": "mrhydra",
    "MR-Hydra": "mrhydra",
    "MiniRocket": "minirocket",
    "MiniROCKET": "minirocket",
    "QUANT": "quant",
    "Hydra": "hydra",
    "H-InceptionTime": "hinception",
    "InceptionTime": "inception",
    "ResNet": "resnet",
    "1NN-DTW": "dtw",
}
FEW = ["V2S", "MiniRocket", "MultiRocketHydra"]
MARK = re.compile(r"([^\s<>|*()]+)<!--([a-z0-9_]+)-->")


def p_text(p):
    """Return a p-value and what it is: "p = 0.052", "p < 0.001"."""
    cell = accuracy.p_cell(p)
    return f"p {cell}" if cell.startswith("<") else f"p = {cell}"


def versus(row):
    """Return the figures of a comparison: lead, wins, ties and losses."""
    return {
        "lead": f"{row['difference']:+.2f}",
        "wins": f"{row['wins']:.0f}",
        "ties": f"{row['ties']:.0f}",
        "losses": f"{row['losses']:.0f}",
    }


def resampled(results, runs):
    """Return figures of the 30 sets x 30 resamples: ours measured, rivals measured where they ran, else published."""
    published = read_published(Path(results) / "published_resampled.csv")
    table = compare_with_published(runs, "V2S", published)
    numbers = {"resampled_v2s": f"{table['ours'].iloc[0]:.2f}"}
    numbers["resampled_v2s_log_loss"] = f"{accuracy.by_dataset(runs, 'log_loss')['V2S'].mean():.3f}"
    fast = compare_with_published(runs, "V2S-fast", published)
    numbers["resampled_fast"] = f"{fast['ours'].iloc[0]:.2f}"
    for name in ("HC2", "MR-Hydra", "MiniROCKET"):
        row, slug = fast.loc[name], f"resampled_fast_{SLUGS[name]}"
        numbers |= {f"{slug}_{key}": text for key, text in versus(row).items()} | {f"{slug}_p": p_text(row["p"])}
    for name, row in table.iterrows():
        if name in SLUGS:
            slug = SLUGS[name]
            numbers |= {f"resampled_{slug}_published": f"{row['its mean']:.2f}"}
            numbers |= {f"resampled_{slug}_{key}": text for key, text in versus(row).items()}
            numbers |= {f"resampled_{slug}_p": p_text(row["p"])}
    for rival in (*accuracy.RESAMPLED, "V2S-fast"):
        both = accuracy.compared(runs[runs["classifier"].isin(["V2S", rival])], ["V2S", rival])
        row, slug = accuracy.compare_pairs(both, ["V2S", rival]).loc[rival], f"resampled_{SLUGS[rival]}_run"
        mean = 100 * accuracy.by_dataset(both, "accuracy")
        numbers |= {slug: f"{mean[rival].mean():.2f}", f"{slug}_resamples": str(both["resample"].nunique())}
        numbers |= {f"{slug}_{key}": text for key, text in versus(row).items()} | {f"{slug}_p": p_text(row["p"])}
        numbers |= {f"{slug}_time": f"{row['time ratio']:.1f}"}
    return numbers


def default_split(results, runs):
    """Return figures of the 30 default splits, with seconds of fit and predict of all sets and times to rivals."""
    classifiers = accuracy.CLASSIFIERS
    both = accuracy.compared(runs, classifiers)
    summary, pairs = accuracy.summarise(both, classifiers), accuracy.compare_pairs(both, classifiers)
    numbers = {}
    for name, row in summary.iterrows():
        slug = SLUGS[name]
        numbers |= {
            f"split_{slug}": f"{row['mean accuracy']:.2f}",
            f"split_{slug}_log_loss": f"{row['log loss']:.3f}",
            f"seconds_{slug}": f"{row['seconds']:.0f}",
            f"gb_{slug}": f"{row['GB']:.1f}",
            f"time_{slug}": f"{row['seconds'] / summary.loc['MultiRocketHydra', 'seconds']:.2f}",
            f"time_{slug}_of_minirocket": f"{row['seconds'] / summary.loc['MiniRocket', 'seconds']:.2f}",
            f"time_{slug}_of_v2s": f"{row['seconds'] / summary.loc['V2S', 'seconds']:.2f}",
            f"time_v2s_of_{slug}": f"{summary.loc['V2S', 'seconds'] / row['seconds']:.1f}",
        }
    for name, row in pairs.iterrows():
        numbers |= {f"split_{SLUGS[name]}_{key}": text for key, text in versus(row).items()}
        numbers |= {f"split_{SLUGS[name]}_p": p_text(row["p (Holm)"])}
    published = 100 * read_published(Path(results) / "published_default.csv").mean()
    return numbers | {
        f"split_{SLUGS[name]}_published": f"{mean:.2f}" for name, mean in published.items() if name in SLUGS
    }


def outside(results):
    """Return figures of the 59 sets that chose nothing."""
    ours, rivals = read_table(results, "outside"), read_table(results, "outside_rivals")
    numbers = {
        "outside_v2s": f"{100 * ours['accuracy'].mean():.2f}",
        "outside_v2s_log_loss": f"{ours['log_loss'].mean():.3f}",
        "outside_sets": str(len(ours)),
    }
    for row in rivals.to_dict("records"):
        slug = SLUGS.get(row["classifier"])
        if slug and row["wins"] == row["wins"]:
            numbers[f"outside_{slug}"] = f"{row['accuracy']:.2f}"
            numbers |= {f"outside_{slug}_{key}": f"{row[key]:.0f}" for key in ("wins", "ties", "losses")}
            relation = "" if row["p"].startswith("<") else "= "
            numbers[f"outside_{slug}_p"] = f"p {relation}{row['p']}"
    return numbers


def few_labels(results):
    """Return figures of few labels, on 18 of the 30 sets and on the sets outside."""
    numbers = {}
    for prefix, split in (("few", "test"), ("few_rest", "train")):
        runs = accuracy.read_results(results, FEW, split=split, setting="few_labels")
        for per_class, row in accuracy.few_labels_table(runs, FEW).iterrows():
            numbers |= {f"{prefix}_{SLUGS[name]}_{per_class}": f"{row[name]:.2f}" for name in FEW}
            numbers |= {
                f"{prefix}_lead_{per_class}": f"{row['lead']:+.2f}",
                f"{prefix}_p_{per_class}": p_text(row["p"]),
            }
            numbers |= {f"{prefix}_sets_{per_class}": f"{row['data sets']}"}
    for row in read_table(results, "outside_few_labels").to_dict("records"):
        per_class = row["per_class"]
        numbers[f"few_outside_{SLUGS[row['classifier']]}_{per_class}"] = f"{row['accuracy']:.2f}"
        numbers[f"few_outside_sets_{per_class}"] = f"{row['datasets']}"
        if row["lead"] == row["lead"]:
            numbers |= {
                f"few_outside_lead_{per_class}": f"{row['lead']:+.2f}",
                f"few_outside_wins_{per_class}": f"{row['wins']:.0f}",
                f"few_outside_losses_{per_class}": f"{row['losses']:.0f}",
            }
    return numbers


def multivariate(results):
    """Return figures of the multivariate sets, with and without the one that decides the mean."""
    runs = accuracy.compared(accuracy.read_results(results, FEW, setting="multivariate"), FEW)
    by_dataset, seconds = 100 * accuracy.by_dataset(runs, "accuracy"), accuracy.by_dataset(runs, "seconds").sum()
    numbers = {"multivariate_time": f"{seconds['V2S'] / seconds['MultiRocketHydra']:.1f}"}
    for name in FEW:
        numbers |= {
            f"multivariate_{SLUGS[name]}": f"{by_dataset[name].mean():.1f}",
            f"multivariate_{SLUGS[name]}_without": f"{by_dataset[name].drop(accuracy.HARD).mean():.1f}",
            f"multivariate_{SLUGS[name]}_hard": f"{by_dataset.loc[accuracy.HARD, name]:.1f}",
        }
    return numbers


def speech(results):
    """Return how far the default is ahead of the default with random weights in all sources, by labels a class."""
    table = read_table(results, "controls")
    table = table[table["source"] == "default"].set_index("weights")
    numbers = {}
    for regime, suffix in (("folds", ""), ("2", "_2"), ("5", "_5"), ("10", "_10")):
        column = 100 * table[f"accuracy{suffix}"]
        trained = column["trained"].mean()
        chance = column[["random 0", "random 1"]].groupby(level=0).mean().mean()
        numbers |= {f"speech_lead_{regime}": f"{trained - chance:.1f}"}
        numbers |= {f"speech_over_noise_{regime}": f"{trained - column['noise'].mean():.1f}"}
    return numbers


def paper_mode(results):
    """Return figures of the published method on the 30 default splits: printed, and measured with nothing searched."""
    runs = read_table(results, "reproduction")
    runs = runs[(runs["classifier"] == "V2Sa-m10") & (runs["per_class"] == 0)]
    by_dataset = 100 * runs.groupby("dataset")["accuracy"].mean()
    printed = 100 * read_published(Path(results) / "reproduction_printed.csv")["V2Sa"].mean()
    return {
        "paper_mode": f"{by_dataset.mean():.1f}",
        "paper_mode_least": f"{by_dataset.min():.1f}",
        "paper_mode_most": f"{by_dataset.max():.1f}",
        "paper_printed": f"{printed:.1f}",
    }


def large_fits(results):
    """Return seconds and GB of fits of the default, 200 points, one thread, and how they grow from 5,000 to 50,000."""
    sizes = read_table(results, "sizes")
    sizes = sizes[(sizes["preset"] == "default") & (sizes["hardware"] == "one")].set_index("n_cases")
    seconds, gigabytes = sizes["fit_seconds"], sizes["gigabytes"]
    figures = {f"fit_seconds_{n}": f"{seconds[n]:.0f}" for n in (5000, 20_000, 50_000)}
    figures |= {f"fit_gb_{n}": f"{gigabytes[n]:.1f}" for n in (5000, 20_000, 50_000)}
    return figures | {"fit_growth": f"{seconds[50_000] / seconds[5000]:.1f}"}


def ranking(results):
    """Return the mean rank correlation of the criterion that the docs advise, in default mode."""
    table = read_table(results, "ranking")
    complete = table.groupby("dataset").filter(lambda rows: len(rows) == table["source"].nunique())
    return {"ranking_loo": f"{correlations(complete, 'default')['loo_log_loss'].mean():+.2f}"}


def make_numbers(results=RESULTS):
    """Return all figures: a dict of name to text, sorted by name."""
    runs = accuracy.read_results(results, accuracy.CLASSIFIERS)
    constants = read_table(results, "constants").set_index("name")["value"]
    numbers = {name: f"{value:g}" for name, value in constants.items()} | large_fits(results)
    numbers |= resampled(results, runs) | default_split(results, runs) | paper_mode(results)
    for part in (outside, few_labels, multivariate, speech, ranking):
        numbers |= part(results)
    return dict(sorted(numbers.items()))


def to_json(numbers):
    """Return the text of docs/numbers.json."""
    return json.dumps(numbers, indent=1) + "\n"


def fill(text, numbers):
    """Return a text with the value of each figure renewed that stands as ``value<!--name-->``.

    Raises
    ------
    KeyError
        If there is no figure of a name.
    """

    def renew(match):
        name = match[2]
        if name not in numbers:
            raise KeyError(f"There is no figure {name!r} in benchmarks.reports.numbers; it has {', '.join(numbers)}.")
        return f"{numbers[name]}<!--{name}-->"

    return MARK.sub(renew, text)


if __name__ == "__main__":
    print(to_json(make_numbers()), end="")
