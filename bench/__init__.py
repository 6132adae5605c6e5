"""Benchmarks: what tracing costs, against the same program without it. `python -m bench.run --help`."""
