"""A soak: a process that uses the cache meets one random fault after another, and must recover from each.

Run it for as long as you like: ``python -m tests.soak --minutes 30``.
"""
