"""The dev page: talk to an agent in the browser, and inspect every turn.

The page changes nothing in the journal except verdicts on calls.
"""
