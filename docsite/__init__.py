"""The documentation site: `python -m docsite` builds it from docs/ and the package into build/site."""
