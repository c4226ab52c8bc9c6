"""``CACHES`` parsed into frozen values: the options, their types, and where they are loaded."""
