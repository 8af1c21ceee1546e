"""Benchmarks: CPU time and memory of the two classes and of comparable classes, in one run."""
