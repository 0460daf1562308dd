"""Stock judges: each is a question about a whole call, in one Markdown file of this folder."""
