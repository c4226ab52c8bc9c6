"""Tags: names that values share, so that one write forgets all values with a tag.

A value carries the version of each of its tags. If a tag has another version when the value is read, or none,
the value is a miss. ``versions`` describes how versions are stored and kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeAlias

from ..client.calls import Operation
from ..conf.options import CacheOptions
from ..redaction import quote
from .timeouts import to_milliseconds
from .versions import tag_key, versions

# The tags of one value. Each costs a read about 20 bytes.
MAX_TAGS = 16

# The name and the version of each tag, as a value carries them.
Tagged: TypeAlias = tuple[tuple[str, bytes], ...]


def check_tags(tags: object, validate: Callable[[str], object]) -> tuple[str, ...]:
    """Return the tags of a value. Raises TypeError and ValueError if they are not a list of different names.

    ``validate`` is a cache's check of a key.
    """
    if isinstance(tags, (str, bytes)) or not isinstance(tags, Iterable):
        raise TypeError(
            f"tags is {quote(repr(tags), 100)}. It must be a list of strings, as in tags=['shop']."
        )
    checked = check_names(tags, validate)
    if len(set(checked)) < len(checked):
        twice = next(tag for tag in checked if checked.count(tag) > 1)
        raise ValueError(f"tags names {quote(twice, 100)!r} twice. Name each tag once.")
    if len(checked) > MAX_TAGS:
        raise ValueError(f"tags has {len(checked)} tags; a value has at most {MAX_TAGS}. Use broader tags.")
    return checked


def check_names(tags: Iterable[object], validate: Callable[[str], object]) -> tuple[str, ...]:
    """Return the names of tags. Raises TypeError if one is no string, and ValueError if one is empty."""
    checked = []
    for tag in tags:
        if not isinstance(tag, str):
            shown = quote(repr(tag), 100)
            hint = " Unpack the list: invalidate_tags(*tags)." if isinstance(tag, (list, tuple, set)) else ""
            raise TypeError(f"The tag {shown} is of type {type(tag).__name__}. A tag must be a string.{hint}")
        if not tag:
            raise ValueError("A tag is empty. Give it a name.")
        validate(tag)
        checked.append(str(tag))
    return tuple(checked)


class Tags:
    """The tags of one alias with its KEY_PREFIX."""

    def __init__(self, options: CacheOptions, prefix: str) -> None:
        self._versions = versions.get(options)
        self._prefix = prefix
        self._seconds = options.tag_seconds
        self._ttl = to_milliseconds(None, options.max_ttl)

    def snapshot(self, tags: Iterable[str], ask_again: bool = False) -> Operation[Tagged]:
        """Return the tags with the versions that they have now. A tag without a version gets one.

        If ``ask_again``, versions that this process knows are asked for again.
        """
        keys = {tag: tag_key(self._prefix, tag) for tag in tags}
        seconds = 0 if ask_again else self._seconds
        found = yield from self._versions.ensure(keys.values(), seconds, self._ttl)
        return tuple((tag, found[key]) for tag, key in keys.items())

    def snapshot_afterwards(self, tags: Iterable[str], started: float) -> Operation[Tagged | None]:
        """Return the tags of a value that was computed before its tags were known.

        ``started`` is the time of ``clock.monotonic`` when that began. Return None if this process knows
        that one of the tags may have been invalidated since.
        """
        keys = {tag: tag_key(self._prefix, tag) for tag in tags}
        found = yield from self._versions.ensure(keys.values(), self._seconds, self._ttl)
        if any(self._versions.was_replaced_since(key, started) for key in found):
            return None
        return tuple((tag, found[key]) for tag, key in keys.items())

    def find_current(self, values: Iterable[Tagged]) -> Operation[list[bool]]:
        """Return for the tags of each value whether all of them still have these versions."""
        keyed = [[(tag_key(self._prefix, tag), version) for tag, version in tags] for tags in values]
        found = yield from self._versions.ask((key for each in keyed for key, _ in each), self._seconds)
        return [all(found[key] == version for key, version in each) for each in keyed]

    def forget(self) -> None:
        """Forget the versions that this process knows, after Momento has lost them."""
        self._versions.forget()

    def invalidate(self, tags: Iterable[str]) -> Operation[None]:
        """Give each tag a new version, so that all values with it are forgotten."""
        yield from self._versions.replace([tag_key(self._prefix, tag) for tag in tags], self._ttl)
