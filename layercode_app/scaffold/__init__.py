"""New projects: the possible answers, the files made from them, and writing and updating those files."""
