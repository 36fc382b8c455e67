"""Where runs, tables and pages are."""

from pathlib import Path

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
# Tables of results, in git.
RESULTS = ROOT / "benchmarks" / "results"
# A file a run, not in git.
RUNS = ROOT / "benchmarks" / "runs"
