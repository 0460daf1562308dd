"""Every private part of another library that this package touches, one file per library.

A private part may change in any release. Each function here says what its caller gets when the part is missing, and
tests/compat/ checks both: that the part means the same in the installed release, and that the fallback works.
This package imports nothing, because `--help` must not import any of these libraries.
"""
