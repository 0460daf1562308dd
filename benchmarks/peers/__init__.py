"""Compare the same LayerCode backend, made with different tools (the peers): `python -m benchmarks.peers`."""
