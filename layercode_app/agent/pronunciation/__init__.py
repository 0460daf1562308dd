"""Say numbers, money, dates, addresses and abbreviations of a streamed text as words."""
