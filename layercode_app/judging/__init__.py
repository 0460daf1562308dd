"""Judge calls: stock questions, one in each Markdown file of this folder, and the model that answers them."""
