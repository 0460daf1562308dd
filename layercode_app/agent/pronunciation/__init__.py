"""Replace numbers, money, dates, addresses and abbreviations in a streamed text with spoken words."""
