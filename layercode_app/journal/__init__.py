"""The journal: the records of all turns, the stores that hold them, and functions to read and delete them."""
