"""What keeps an eye on running calls: usage, budgets, alerts, retention."""
