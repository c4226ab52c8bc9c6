"""The keys that ``clear()`` of an alias forgets, in words."""

from __future__ import annotations

from ..cache import MomentoCache


def effect_of_clear(cache: MomentoCache) -> str:
    """Return a sentence for people about the keys that clear() forgets."""
    name = cache.options.cache_name
    if cache.options.clear == "prefix":
        return f"clear() forgets the keys with KEY_PREFIX {cache.key_prefix!r} in {name!r}, and no others"
    return f"clear() empties the whole Momento cache {name!r}, other prefixes and sites included"
