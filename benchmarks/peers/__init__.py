"""The same LayerCode backend made with different tools, measured side by side: `python -m benchmarks.peers`."""
