"""Create and update projects: check the answers that describe a project, render its files, and write them."""
