"""A small site in which each thing that a Momento cache does for a Django project can be seen at work."""
