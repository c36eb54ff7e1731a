"""Benchmarks: what the log, the loop and the command cost beside their peers. See ``results.md``."""
