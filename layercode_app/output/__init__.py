"""Everything that is shown to a person: the terminal, pages, XML. Text from outside is data on all of them."""
