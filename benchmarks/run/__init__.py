"""Runs of classifiers on data sets, their files, and the tables that these are collected into."""
