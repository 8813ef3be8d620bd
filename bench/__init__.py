"""Benchmarks: each prints a table of what it measured, with a baseline from the same run."""
