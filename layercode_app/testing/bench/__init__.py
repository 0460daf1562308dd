"""Load on a webhook: callers who hold conversations at the same time, and how long each of them waits."""
