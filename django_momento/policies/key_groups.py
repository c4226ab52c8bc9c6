"""Groups of keys, under which calls are counted and warnings are logged instead of under keys.

A key may be a secret, as a session's is, and there may be millions of keys.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from threading import RLock

from .. import forking
from ..interruption import is_interruption
from ..redaction import quote

MAX_GROUPS = 100
# The group of all keys after the first groups of an alias, and of keys for which KEY_GROUP raises.
OTHER = "other"
# The group of a call whose keys belong to several groups.
MIXED = "mixed"

MAX_NAME_LENGTH = 60

_NO_DIGITS = re.compile(r"\D*")
# The keys of Django's own sessions, pages and fragments have no colon. A random text follows these words.
_DJANGO = re.compile(
    r"django\.contrib\.sessions\.(?:cached_db|cache)|views\.decorators\.cache\.cache_(?:page|header)"
    r"|template\.cache\.[^.]*"
)


def default_key_group(key: str) -> str:
    """Return the text before the first colon. If there is none, cut before the first digit.

    Keys of sessions have no colon, and a session key must not be logged.
    """
    return quote(_group_of(key), MAX_NAME_LENGTH)


def _group_of(key: str) -> str:
    group, colon, _ = key.partition(":")
    if colon:
        return group
    if known := _DJANGO.match(key):
        return known[0]
    letters = _NO_DIGITS.match(key)
    return key if letters is None or letters[0] == key else f"{letters[0]}..."


def is_whole_key(group: str, key: str) -> bool:
    """Return whether the group of a key by default shows the whole key, or its beginning if that is long."""
    return group == quote(key, MAX_NAME_LENGTH) == default_key_group(key)


class GroupNames:
    """The groups that are told apart on each alias: the first ``MAX_GROUPS`` of the process."""

    def __init__(self) -> None:
        # A handler of a signal may use the cache while its thread counts a call.
        self._lock = RLock()
        # For each alias the names of groups, by the text that a key or KEY_GROUP gave.
        self._names: dict[str, dict[object, str]] = {}

    def find(self, alias: str, keys: Collection[object], key_group: Callable[[str], object] | None) -> str:
        """Return the group of all keys, MIXED if they are of several groups, or ``""`` if there are none."""
        found = None
        names = self._names.get(alias)
        if names is None:
            with self._lock:
                names = self._names.setdefault(alias, {})
        for key in keys:
            try:
                text = _group_of(str(key)) if key_group is None else str(key_group(str(key)))
            except Exception as error:  # a site's own function must not fail a cache call
                if is_interruption(error):
                    raise
                text = OTHER
            group = names.get(text) or self._add(names, text)
            if found is not None and group != found:
                return MIXED
            found = group
        return found or ""

    def forget(self) -> None:
        """Forget all groups, as in a forked child: a thread of the parent may hold the lock."""
        self.__init__()  # type: ignore[misc]  # this very class: nothing subclasses it

    def _add(self, names: dict[object, str], text: str) -> str:
        with self._lock:
            if len(names) >= MAX_GROUPS and text not in names:
                return OTHER
            return names.setdefault(text, quote(text, MAX_NAME_LENGTH))


group_names = GroupNames()
forking.register(after_in_child=group_names.forget)
