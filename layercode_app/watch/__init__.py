"""Usage, budgets, alerts and retention of running calls."""
