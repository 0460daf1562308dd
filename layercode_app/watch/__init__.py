"""Count usage, enforce budgets, send alerts and delete old turns while the server runs."""
