"""Examine a cache step by step. Each step is timed, and has a cause and a fix if it fails.

``momento_check`` and status pages use this library. It neither prints nor parses arguments. Of an API key the
steps show the kind, the source and the age, and never a part of the key.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from time import perf_counter, time
from typing import Any, NamedTuple
from uuid import uuid4

from django.core.cache import InvalidCacheBackendError
from django.core.exceptions import ImproperlyConfigured

from ..cache import MomentoCache
from ..checks.aliases import IMPORT_FIX, make_cache
from ..client import operations
from ..client.calls import ItemGetTtl, Operation
from ..client.client import Client
from ..client.metering import Tally
from ..client.registry import clients
from ..conf.options import CacheOptions
from ..events import CallEvent, observers
from ..exceptions import CacheNotFound, LimitExceeded, MomentoCacheError, ServerError
from . import limits
from .clearing import effect_of_clear
from .latency import Latency
from .limits import Measurement

PROBE_TIMEOUT = 60
READ_BACK_FIX = "Check SERIALIZER, SIGN and KEY_FUNCTION, and that no other process clears this cache."

# Called with the name of a step, the number of requests done, and their total; 0 if the step counts none.
Progress = Callable[[str, int, int], object]


@dataclass(frozen=True)
class Step:
    """One step of an examination, with its result in ``found``.

    If the step failed, ``error`` is the name of the exception, and ``cause`` and ``fix`` explain it.
    """

    name: str
    seconds: float
    found: str = ""
    error: str = ""
    cause: str = ""
    fix: str = ""
    latency: Latency | None = None
    facts: tuple[Measurement, ...] = ()

    @property
    def ok(self) -> bool:
        return not self.error

    def as_dict(self) -> dict[str, Any]:
        """Return the step for JSON. The names of its fields are stable."""
        return {"ok": self.ok, **asdict(self)}


class _Result(NamedTuple):
    says: str
    latency: Latency | None = None
    facts: tuple[Measurement, ...] = ()


def _no_progress(name: str, done: int, of: int) -> None:
    """Ignore progress."""


def examine(
    alias: str, requests: int = 20, create: bool = False, progress: Progress = _no_progress
) -> Iterator[Step]:
    """Examine a cache step by step and return each step. Stop after the first step that fails.

    ``requests`` is the number of gets to time. ``create`` creates the Momento cache if it is missing.
    ``progress`` is called before anything that may take a while.
    """
    examination = _Examination(alias, requests, create, progress)
    observers.append(examination.observe)
    try:
        yield from _run_steps(examination, progress)
    finally:
        observers.remove(examination.observe)


def _run_steps(examination: _Examination, progress: Progress) -> Iterator[Step]:
    for name, act in (
        ("options", examination.options),
        ("credentials", examination.credentials),
        ("connection", examination.connection),
        ("cache", examination.cache),
        ("round trip", examination.round_trip),
        ("latency", examination.latency),
        ("limits", examination.limits),
    ):
        progress(name, 0, 0)
        step = _run_step(name, act)
        yield step
        if not step.ok:
            return


def _run_step(name: str, act: Callable[[], _Result]) -> Step:
    started = perf_counter()
    try:
        result = act()
    except (MomentoCacheError, ImproperlyConfigured, InvalidCacheBackendError, ImportError) as error:
        cause = getattr(error, "cause", str(error))
        fix = getattr(error, "fix", IMPORT_FIX if isinstance(error, ImportError) else "")
        return Step(name, perf_counter() - started, error=type(error).__name__, cause=cause, fix=fix)
    return Step(name, perf_counter() - started, result.says, latency=result.latency, facts=result.facts)


class _Examination:
    """The steps for one alias. Each returns its result or raises, and needs the steps before it."""

    def __init__(self, alias: str, requests: int, create: bool, progress: Progress) -> None:
        self._alias = alias
        self._requests = requests
        self._create = create
        self._progress = progress
        self._cache: MomentoCache
        self._client: Client
        self._latency: Latency
        self._missing: CacheNotFound | None = None
        # The calls that do not go through the cache.
        self._tally = Tally()
        self._operations = 0
        self._get_operations = 1

    def observe(self, event: CallEvent) -> None:
        """Count the operations of a call that goes through the cache."""
        if event.alias == self._alias:
            self._operations += event.operations
            if event.verb == "get":
                self._get_operations = max(1, event.operations)

    def options(self) -> _Result:
        # A separate cache that raises its errors: failing open would hide them.
        self._cache = make_cache(self._alias)
        options = self._cache.options = replace(self._cache.options, ignore_exceptions=False)
        return _Result(
            f"cache {options.cache_name!r}, key from {options.connection.credentials}, "
            f"values as {_format(options)}, at most {options.max_ttl:.12g} s",
            facts=(Measurement("clear", options.clear, effect_of_clear(self._cache)),),
        )

    def credentials(self) -> _Result:
        self._client = clients.get(self._cache.options.connection)
        credential = self._client.get_credential()
        says = f"{credential.kind} key: {credential.source}" if credential.api_key else credential.source
        return _Result(says, facts=limits.of_credential(credential, time()))

    def connection(self) -> _Result:
        try:
            self._run(operations.has_key(self._probe_key()))
        except CacheNotFound as error:
            self._missing = error  # The server accepted the key. The next step reports the missing cache.
        return _Result(f"{self._client.get_credential().endpoint} accepts the key")

    def cache(self) -> _Result:
        name = self._cache.options.cache_name
        if self._missing is None:
            return _Result(f"{name!r} exists")
        if not self._create:
            raise self._missing
        created = self._run(operations.create())
        return _Result(f"{name!r} was created" if created else f"{name!r} exists")

    def round_trip(self) -> _Result:
        key, value = f"momento_check:{uuid4()}", {"written": uuid4().hex}
        self._cache.set(key, value, PROBE_TIMEOUT)
        read = self._cache.get(key)
        deleted = self._cache.delete(key)
        if read != value:
            raise ServerError("A value was written, but could not be read back.", READ_BACK_FIX)
        if not deleted:
            raise ServerError(
                "A value was written, but was missing when it was to be deleted.", READ_BACK_FIX
            )
        return _Result("wrote, read and deleted a value")

    def latency(self) -> _Result:
        key = f"momento_check:{uuid4()}"
        milliseconds = []
        for done in range(self._requests):
            self._progress("latency", done, self._requests)
            started = perf_counter()
            try:
                self._cache.get(key)
            except LimitExceeded as error:
                fix = f"{error.fix} Or time fewer gets with --requests: these were {self._requests} in a row."
                raise LimitExceeded(error.cause, fix, error.limit) from error
            milliseconds.append((perf_counter() - started) * 1000)
        self._latency = Latency.of(milliseconds)
        return _Result(str(self._latency), self._latency)

    def limits(self) -> _Result:
        key = f"momento_check:{uuid4()}"
        momento_key = self._cache.make_key(key).encode()
        self._cache.set(key, "", self._cache.options.max_ttl)
        try:
            stored = self._run(operations.get(momento_key)) or b""
            remaining = self._run(_remaining(momento_key))
        finally:
            self._cache.delete(key)
        added = self._generation_bytes() + len(momento_key.removesuffix(key.encode()))
        found = (
            limits.of_ttl(
                self._cache.default_timeout,
                self._cache.options.max_ttl,
                None if remaining is None else remaining / 1000,
            ),
            *limits.of_item_size(added + len(stored)),
            limits.of_rate(self._latency.per_second),
            limits.of_operations(
                self._operations + self._tally.operations, self._get_operations, self._latency.per_second
            ),
        )
        remarks = sum(not fact.ok for fact in found)
        return _Result(
            "measured values beside Momento's limits" + (", with a remark" if remarks else ""), facts=found
        )

    def _generation_bytes(self) -> int:
        """Return the length of the text that CLEAR=prefix puts before each key."""
        generation = self._cache._generation  # noqa: SLF001 - no public way
        return 0 if generation is None else len(self._run(generation.get()))

    def _probe_key(self) -> bytes:
        return self._cache.make_key(f"momento_check:{uuid4()}").encode()

    def _run(self, operation: Operation[Any]) -> Any:
        # The cache's own, which puts the generation before a key with CLEAR=prefix.
        client = self._cache._client  # noqa: SLF001 - no public way
        return client.run(self._cache.options.cache_name, operation, self._tally)


def _remaining(key: bytes) -> Operation[int | None]:
    milliseconds: int | None = yield ItemGetTtl(key)
    return milliseconds


def _format(options: CacheOptions) -> str:
    parts = [options.serializer, options.compressor, "signed" if options.sign else "unsigned"]
    if options.encryption_key is not None:
        parts[-1] = "encrypted"
    return ", ".join(part for part in parts if part)
