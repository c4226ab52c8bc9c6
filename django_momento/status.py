"""What there is to say about a cache: the doctor's steps, each timed, with cause and fix where one fails.

Library code behind ``momento_check`` and status pages; it neither prints nor parses arguments. No step says
anything of an API key but its kind and where it came from.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from time import perf_counter
from typing import Any
from uuid import uuid4

from django.core.cache import InvalidCacheBackendError, caches
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from . import operations
from .cache import MomentoCache
from .client import MomentoClient
from .connections import connections
from .exceptions import CacheNotFound, MomentoCacheError, ServerError

PROBE_TIMEOUT = 60
IMPORT_FIX = "Check BACKEND and KEY_FUNCTION: they are dotted paths of what can be imported."
READ_BACK_FIX = "Check SERIALIZER, SIGN and KEY_FUNCTION, and that no other process empties this cache."


@dataclass(frozen=True)
class Latency:
    """How long a ``get`` took, over ``requests`` of them one after the other; in milliseconds."""

    requests: int
    minimum: float
    median: float
    p90: float
    p99: float
    maximum: float

    @classmethod
    def of(cls, milliseconds: list[float]) -> Latency:
        ordered = sorted(milliseconds)
        # Needs two points; for a single request every percentile is that request.
        percentiles = statistics.quantiles(
            ordered * 2 if len(ordered) == 1 else ordered, n=100, method="inclusive"
        )
        return cls(len(ordered), ordered[0], percentiles[49], percentiles[89], percentiles[98], ordered[-1])

    def __str__(self) -> str:
        return (
            f"{self.requests} gets: median {self.median:.2f} ms, p90 {self.p90:.2f} ms, "
            f"p99 {self.p99:.2f} ms, slowest {self.maximum:.2f} ms"
        )


@dataclass(frozen=True)
class Step:
    """One step of the doctor: what it ``found``; or the ``error`` it met, its ``cause`` and the ``fix``."""

    name: str
    seconds: float
    found: str = ""
    error: str = ""
    cause: str = ""
    fix: str = ""
    latency: Latency | None = None

    @property
    def ok(self) -> bool:
        return not self.error

    def as_dict(self) -> dict[str, Any]:
        """Answer the step for JSON; the field names are stable."""
        return {"ok": self.ok, **asdict(self)}


def momento_aliases() -> list[str]:
    """Answer every alias of CACHES whose backend is this one, or a subclass of it."""
    return [alias for alias in caches.settings if is_momento(alias)]


def is_momento(alias: str) -> bool:
    try:
        backend = import_string(caches.settings[alias].get("BACKEND", ""))
    except ImportError:
        return False
    return isinstance(backend, type) and issubclass(backend, MomentoCache)


def examine(alias: str, requests: int = 20, create: bool = False) -> Iterator[Step]:
    """Examine a cache step by step, up to the first step that fails.

    ``requests`` is how many gets are timed; ``create`` makes the Momento cache if there is none.
    """
    examination = _Examination(alias, requests, create)
    for name, act in (
        ("options", examination.options),
        ("credentials", examination.credentials),
        ("connection", examination.connection),
        ("cache", examination.cache),
        ("round trip", examination.round_trip),
        ("latency", examination.latency),
    ):
        step = _timed(name, act)
        yield step
        if not step.ok:
            return


def _timed(name: str, act: Callable[[], str | Latency]) -> Step:
    started = perf_counter()
    try:
        found = act()
    except (MomentoCacheError, ImproperlyConfigured, InvalidCacheBackendError, ImportError) as error:
        cause = getattr(error, "cause", str(error))
        fix = getattr(error, "fix", IMPORT_FIX if isinstance(error, ImportError) else "")
        return Step(name, perf_counter() - started, error=type(error).__name__, cause=cause, fix=fix)
    latency = found if isinstance(found, Latency) else None
    return Step(name, perf_counter() - started, found=str(found), latency=latency)


class _Examination:
    """The steps on one alias; each answers what it found, or raises, and relies on those before it."""

    def __init__(self, alias: str, requests: int, create: bool) -> None:
        self._alias = alias
        self._requests = requests
        self._create = create
        self._cache: MomentoCache
        self._client: MomentoClient
        self._missing: CacheNotFound | None = None

    def options(self) -> str:
        # An instance of our own, and a loud one: fail-open would hide what is looked for here.
        self._cache = caches.create_connection(self._alias)  # type: ignore[assignment]  # see is_momento
        options = self._cache.options = replace(self._cache.options, ignore_exceptions=False)
        signed = "signed" if options.sign else "unsigned"
        return (
            f"cache {options.cache_name!r}, key from {options.connection.credentials}, "
            f"values as {signed} {options.serializer}, at most {options.max_ttl:g} s"
        )

    def credentials(self) -> str:
        self._client = connections.client(self._cache.options.connection)
        credential = self._client.credential
        return f"{credential.kind} key: {credential.source}" if credential.api_key else credential.source

    def connection(self) -> str:
        try:
            self._run(operations.has_key(self._probe_key()))
        except CacheNotFound as error:
            self._missing = error  # The server answered and took the key; the next step tells the rest.
        return f"{self._client.credential.endpoint} answers and takes the key"

    def cache(self) -> str:
        name = self._cache.options.cache_name
        if self._missing is None:
            return f"{name!r} exists"
        if not self._create:
            raise self._missing
        created = self._run(operations.create())
        return f"{name!r} was created" if created else f"{name!r} exists"

    def round_trip(self) -> str:
        key, value = f"momento_check:{uuid4()}", {"written": uuid4().hex}
        self._cache.set(key, value, PROBE_TIMEOUT)
        read = self._cache.get(key)
        deleted = self._cache.delete(key)
        if read != value:
            raise ServerError("A value that was just written was not read back.", READ_BACK_FIX)
        if not deleted:
            raise ServerError("A value that was just written was not there to delete.", READ_BACK_FIX)
        return "wrote, read and deleted a value"

    def latency(self) -> Latency:
        key = f"momento_check:{uuid4()}"
        milliseconds = []
        for _ in range(self._requests):
            started = perf_counter()
            self._cache.get(key)
            milliseconds.append((perf_counter() - started) * 1000)
        return Latency.of(milliseconds)

    def _probe_key(self) -> bytes:
        return self._cache.make_key(f"momento_check:{uuid4()}").encode()

    def _run(self, steps: Any) -> Any:
        return self._client.run(self._cache.options.cache_name, steps)
