"""The apps that the peers serve."""
