"""A small fleet: three servers with two workers each, behind a proxy, with one journal."""
