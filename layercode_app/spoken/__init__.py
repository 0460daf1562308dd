"""How values are said: pure functions from numbers, money, times, dates and letters to words."""
