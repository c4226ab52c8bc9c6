"""``manage.py momento_cache``: look at one key or delete it, invalidate tags, or clear a cache."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

from django.core.cache import caches
from django.core.management.base import BaseCommand, CommandError, CommandParser

from django_momento.cache import MomentoCache
from django_momento.checks.aliases import make_cache
from django_momento.client import operations
from django_momento.client.calls import ItemGetTtl, Operation
from django_momento.client.registry import clients
from django_momento.clock import wall
from django_momento.codec.attributes import Attributed, Attributes
from django_momento.codec.description import describe
from django_momento.diagnostics.clearing import effect_of_clear
from django_momento.diagnostics.limits import duration
from django_momento.exceptions import FailedPrecondition, MomentoCacheError, UnreadableValue
from django_momento.local.metering import item_operations
from django_momento.redaction import quote

COLLECTION = "a collection of Momento, such as a counter of rate_limit()"
KEY_ACTIONS = ("get", "ttl", "size", "type", "delete")
ACTIONS = (*KEY_ACTIONS, "invalidate", "clear")


class Command(BaseCommand):
    help = (
        "Looks at one key of a Momento cache: how its value is stored, its size, the operations of a read "
        "and the time it has left. The value is shown only by `get --value`. The exit status is 1 if "
        "the key is missing. `invalidate` forgets all values with a tag. `clear` forgets all keys of the "
        "Momento cache, or with CLEAR=prefix those of the alias."
    )

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        # `--version` is the version of the key here, as it is for Django's caches.
        return super().create_parser(prog_name, subcommand, conflict_handler="resolve", **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "action", choices=ACTIONS, help="What to tell of the key, or `delete`, `invalidate` or `clear`."
        )
        parser.add_argument(
            "key",
            nargs="*",
            help="The key, as your code passes it to the cache. With `invalidate`: the tags.",
        )
        parser.add_argument("--alias", default="default", help="Alias of CACHES. Default: default.")
        parser.add_argument("--version", type=int, metavar="N", help="Version of the key.")
        parser.add_argument(
            "--raw", action="store_true", help="KEY is Momento's own key, with prefix and version."
        )
        parser.add_argument("--value", action="store_true", help="With `get`: show the value too.")

    def handle(self, *args: Any, **options: Any) -> None:
        cache = _find_cache(options["alias"])
        if options["value"] and options["action"] != "get":
            raise CommandError("--value goes with get. Write: momento_cache get KEY --value.")
        if options["raw"] and options["version"] is not None:
            raise CommandError("A raw key has its version in it. Leave --version or --raw out.")
        action, names = options["action"], options["key"]
        if (problem := _problem_with(action, len(names))) is not None:
            raise CommandError(problem)
        try:
            if action not in KEY_ACTIONS:
                self.stdout.write(_forget(_without_failing_open(cache), action, names))
                return
            key = _momento_key(cache, names[0], options)
            # A raw key has the generation of CLEAR="prefix" in it, which the client of a cache puts there.
            client = clients.get(cache.options.connection) if options["raw"] else cache._client  # noqa: SLF001 - no public way
            run = partial(client.run, cache.options.cache_name)
            lines = self._act(cache, action, key, options, run)
        except MomentoCacheError as error:
            raise CommandError(str(error)) from error
        if lines is None:
            raise CommandError(f"Key {quote(key.decode(errors='replace'))!r} is missing.")
        for line in lines:
            self.stdout.write(line)

    def _act(
        self,
        cache: MomentoCache,
        action: str,
        key: bytes,
        options: dict[str, Any],
        run: Callable[[Operation[Any]], Any],
    ) -> list[str] | None:
        """Return the lines to print, or None if the key is missing."""
        bound_key = _bound_key(cache, key) if options["raw"] else key
        if action == "delete":
            return ["deleted"] if run(operations.delete(key)) else None
        if action == "ttl":
            remaining = run(_remaining(key))
            return None if remaining is None else [_time_left(remaining)]
        try:
            data = run(operations.get(key))
        except FailedPrecondition:
            return _describe_collection(action, key, run(_remaining(key)))
        if data is None:
            return None
        if action == "type":
            return [str(describe(data))]
        if action == "size":
            return [_size(key, data)]
        remaining = run(_remaining(key))
        lines = [
            f"key         {quote(key.decode(errors='replace'))}",
            f"type        {describe(data)}",
            f"size        {_size(key, data)}",
            f"time left   {'over' if remaining is None else _time_left(remaining)}",
            f"readable    {_readable(cache, bound_key, data)}",
            *_attributes(cache, bound_key, data),
        ]
        return [*lines, f"value       {_value(cache, bound_key, data)}"] if options["value"] else lines


def _problem_with(action: str, names: int) -> str | None:
    """Return the problem with the number of names, or None."""
    if action == "clear":
        return None if not names else "clear takes no key. Write: momento_cache clear --alias ALIAS."
    if action == "invalidate":
        return None if names else "invalidate needs a tag. Write: momento_cache invalidate TAG..."
    if not names:
        return f"The following arguments are required: key. Write: momento_cache {action} KEY."
    return None if names == 1 else f"{action} takes one key, not {names}. Write: momento_cache {action} KEY."


def _without_failing_open(cache: MomentoCache) -> MomentoCache:
    """Return a cache that raises its errors, because an operator must hear of a failure."""
    loud = make_cache(cache.options.alias)
    loud.options = replace(loud.options, ignore_exceptions=False)
    return loud


def _forget(cache: MomentoCache, action: str, tags: list[str]) -> str:
    """Invalidate the tags or clear the cache, and return the line to print."""
    if action == "clear":
        cache.clear()
        return f"done: {effect_of_clear(cache)}"
    try:
        cache.invalidate_tags(*tags)
    except ValueError as error:
        raise CommandError(str(error)) from error
    return f"invalidated: {quote(', '.join(tags), 1000)}"


def _bound_key(cache: MomentoCache, key: bytes) -> bytes:
    """Return the key to which a value is bound: a raw key without its generation."""
    return key.partition(b":")[2] if cache.options.clear == "prefix" else key


def _describe_collection(action: str, key: bytes, remaining: int | None) -> list[str]:
    """Return the lines for an item that Get refuses. Raises CommandError for its size, which is not known."""
    if action == "type":
        return [COLLECTION]
    if action == "size":
        raise CommandError("The key holds a collection, of which Momento does not tell the size.")
    return [
        f"key         {quote(key.decode(errors='replace'))}",
        f"type        {COLLECTION}",
        f"time left   {'over' if remaining is None else _time_left(remaining)}",
    ]


def _find_cache(alias: str) -> MomentoCache:
    if alias not in caches.settings:
        raise CommandError(f"CACHES has no alias {alias!r}. Give one of: {', '.join(caches.settings)}.")
    cache = caches[alias]
    if not isinstance(cache, MomentoCache):
        raise CommandError(f"CACHES[{alias!r}] does not use Momento. Give --alias of one that does.")
    return cache


def _momento_key(cache: MomentoCache, name: str, options: dict[str, Any]) -> bytes:
    if options["raw"]:
        return name.encode("utf-8", "surrogateescape")
    key = cache.make_and_validate_key(name, version=options["version"])
    return str(key).encode("utf-8", "surrogatepass")


def _remaining(key: bytes) -> Operation[int | None]:
    milliseconds: int | None = yield ItemGetTtl(key)
    return milliseconds


def _time_left(milliseconds: int) -> str:
    return f"{duration(milliseconds / 1000)} ({milliseconds / 1000:.3f} s)"


def _size(key: bytes, data: bytes) -> str:
    count = item_operations(len(key) + len(data))
    reads = "1 operation" if count == 1 else f"{count} operations"
    return f"{len(data):,} bytes, {len(key) + len(data):,} with the key: {reads} for each read"


def _load(cache: MomentoCache, key: bytes, data: bytes) -> tuple[Any, Attributes]:
    # The codec, because a read by the cache would turn the reason into a miss.
    value = cache._codec.decode(key, data)  # noqa: SLF001 - no public way
    return value if isinstance(value, Attributed) else (value, Attributes())


def _readable(cache: MomentoCache, key: bytes, data: bytes) -> str:
    try:
        _load(cache, key, data)
    except UnreadableValue as error:
        return f"no: {error}"
    return "yes"


def _attributes(cache: MomentoCache, key: bytes, data: bytes) -> list[str]:
    lines: list[str] = []
    with suppress(UnreadableValue):
        _, (fresh_until, tags) = _load(cache, key, data)
        if fresh_until is not None:
            remaining = round(fresh_until - wall() * 1000)
            lines.append(f"fresh for   {_time_left(remaining) if remaining > 0 else 'over: reads miss it'}")
        if tags:
            lines.append(f"tags        {', '.join(quote(name) for name, _ in tags)}")
    return lines


def _value(cache: MomentoCache, key: bytes, data: bytes) -> str:
    try:
        return repr(_load(cache, key, data)[0])
    except UnreadableValue:
        return "cannot be read"
