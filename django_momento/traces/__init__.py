"""Traces of cache calls: their format, and how a process writes them and a command reads them."""
