"""Benchmarks: each runs both sides in one process run and prints ratios. Run by hand: `python -m benchmarks.echo`."""
