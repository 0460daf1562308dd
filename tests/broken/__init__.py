"""Small webhook servers with one deliberate fault each, which `check` must find.

They are written from the description of the protocol alone, and use no code of the toolkit.
"""
