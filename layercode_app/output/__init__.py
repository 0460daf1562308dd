"""Output for people: the terminal, pages and messages. Text from outside is escaped in all of them."""
