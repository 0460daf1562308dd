"""Let a model judge calls by answering questions. Each Markdown file of this folder holds one stock question."""
