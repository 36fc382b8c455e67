"""The published method on the data sets of the paper, and its suspected defects."""
