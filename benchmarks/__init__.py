"""The benchmark: runs, tables of results, reports. Run from the repository's root; no part of the installed package.

`run` makes runs and collects them into tables, `reproduction` and `sources` do so for the published method and for the
acoustic models; `reports` reads tables only. `speed` and `robustness` keep no results
but what missing values cost.
"""
