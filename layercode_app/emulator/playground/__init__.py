"""The dev page: talk to an agent in the browser, and inspect every turn. It only reads the journal."""
