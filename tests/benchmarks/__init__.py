"""The benchmarks run, and fail where they should."""
