"""New projects: what can be asked for, the files it comes to, and writing them."""
