"""The command line. Each command parses its arguments, calls the library, and prints the result."""
