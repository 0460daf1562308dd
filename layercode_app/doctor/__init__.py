"""`doctor`: this installation seen from inside, each thing that can be wrong with how to mend it."""
