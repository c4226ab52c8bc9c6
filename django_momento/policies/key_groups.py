"""Groups of keys, under which calls are counted and warnings are logged instead of under keys.

A key may be a secret, as a session's is, and there may be millions of keys.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from threading import Lock

from .. import forking
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
    group, colon, _ = key.partition(":")
    if not colon:
        known = _DJANGO.match(group)
        letters = _NO_DIGITS.match(group)
        if known is not None:
            group = known[0]
        elif letters is not None and letters[0] != group:
            group = f"{letters[0]}..."
    return quote(group, MAX_NAME_LENGTH)


class GroupNames:
    """The groups that are told apart on each alias: the first ``MAX_GROUPS`` of the process."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._names: dict[str, set[str]] = {}

    def find(self, alias: str, keys: Collection[object], key_group: Callable[[str], object] | None) -> str:
        """Return the group of all keys, MIXED if they are of several groups, or ``""`` if there are none."""
        found = None
        for key in keys:
            group = self._bound(alias, _name_of(str(key), key_group))
            if found is not None and group != found:
                return MIXED
            found = group
        return found or ""

    def forget(self) -> None:
        """Forget all groups, as in a forked child: a thread of the parent may hold the lock."""
        self.__init__()  # type: ignore[misc]  # this very class: nothing subclasses it

    def _bound(self, alias: str, name: str) -> str:
        names = self._names.get(alias)
        if names is not None and name in names:
            return name
        with self._lock:
            names = self._names.setdefault(alias, set())
            if name not in names and len(names) >= MAX_GROUPS:
                return OTHER
            names.add(name)
        return name


def _name_of(key: str, key_group: Callable[[str], object] | None) -> str:
    if key_group is None:
        return default_key_group(key)
    try:
        return quote(key_group(key), MAX_NAME_LENGTH)
    except Exception:  # noqa: BLE001 - a site's own function must not fail a cache call
        return OTHER


group_names = GroupNames()
forking.register(after_in_child=group_names.forget)
