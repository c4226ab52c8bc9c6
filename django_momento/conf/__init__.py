"""``CACHES`` parsed into frozen values: the options, their types, and the loader."""
