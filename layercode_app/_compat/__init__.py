"""Functions that use the private parts of other libraries, in one module for each library.

A private part may change in any release, so each function has a fallback, which its docstring describes. tests/compat/
checks that the private part works in the installed release as expected, and that the fallback works.
This file imports nothing, because `--help` must not import any of these libraries.
"""
