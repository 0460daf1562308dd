"""The dev page: talk to an agent in the browser, and see inside every turn. It only ever reads the journal."""
