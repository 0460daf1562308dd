"""Benchmarks. Most compare two sides in one run and print ratios. Run them by hand: `python -m benchmarks.echo`."""
