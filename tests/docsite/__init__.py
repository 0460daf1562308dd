"""The documentation site: its pages, its reference and its tutorial."""
