"""Benchmarks, one command each; benchmarks/results has the results and their commands."""
