"""What there is to say about a cache: the doctor's steps, each timed, with cause and fix where one fails.

Library code behind ``momento_check`` and status pages; it neither prints nor parses arguments. No step says
anything of an API key but its kind, where it came from, and its age.
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
from ..client.registry import connections
from ..conf.options import CacheOptions
from ..exceptions import CacheNotFound, LimitExceeded, MomentoCacheError, ServerError
from . import limits
from .latency import Latency
from .limits import Measurement

PROBE_TIMEOUT = 60
READ_BACK_FIX = "Check SERIALIZER, SIGN and KEY_FUNCTION, and that no other process empties this cache."

# Called with a step's name, how much of it is done, and of how much; that is 0 where nothing is counted.
Progress = Callable[[str, int, int], object]


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
    facts: tuple[Measurement, ...] = ()

    @property
    def ok(self) -> bool:
        return not self.error

    def as_dict(self) -> dict[str, Any]:
        """Answer the step for JSON; the field names are stable."""
        return {"ok": self.ok, **asdict(self)}


class _Found(NamedTuple):
    says: str
    latency: Latency | None = None
    facts: tuple[Measurement, ...] = ()


def _no_progress(name: str, done: int, of: int) -> None:
    """Tell nobody."""


def examine(
    alias: str, requests: int = 20, create: bool = False, progress: Progress = _no_progress
) -> Iterator[Step]:
    """Examine a cache step by step, up to the first step that fails.

    ``requests`` is how many gets are timed; ``create`` makes the Momento cache if there is none. ``progress``
    is called whenever something begins that may take a while.
    """
    examination = _Examination(alias, requests, create, progress)
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
        step = _timed(name, act)
        yield step
        if not step.ok:
            return


def _timed(name: str, act: Callable[[], _Found]) -> Step:
    started = perf_counter()
    try:
        found = act()
    except (MomentoCacheError, ImproperlyConfigured, InvalidCacheBackendError, ImportError) as error:
        cause = getattr(error, "cause", str(error))
        fix = getattr(error, "fix", IMPORT_FIX if isinstance(error, ImportError) else "")
        return Step(name, perf_counter() - started, error=type(error).__name__, cause=cause, fix=fix)
    return Step(name, perf_counter() - started, found.says, latency=found.latency, facts=found.facts)


class _Examination:
    """The steps on one alias; each answers what it found, or raises, and relies on those before it."""

    def __init__(self, alias: str, requests: int, create: bool, progress: Progress) -> None:
        self._alias = alias
        self._requests = requests
        self._create = create
        self._progress = progress
        self._cache: MomentoCache
        self._client: Client
        self._latency: Latency
        self._missing: CacheNotFound | None = None

    def options(self) -> _Found:
        # An instance of our own, and a loud one: fail-open would hide what is looked for here.
        self._cache = make_cache(self._alias)
        options = self._cache.options = replace(self._cache.options, ignore_exceptions=False)
        return _Found(
            f"cache {options.cache_name!r}, key from {options.connection.credentials}, "
            f"values as {_format(options)}, at most {options.max_ttl:.12g} s"
        )

    def credentials(self) -> _Found:
        self._client = connections.client(self._cache.options.connection)
        credential = self._client.credential
        says = f"{credential.kind} key: {credential.source}" if credential.api_key else credential.source
        return _Found(says, facts=limits.of_credential(credential, time()))

    def connection(self) -> _Found:
        try:
            self._run(operations.has_key(self._probe_key()))
        except CacheNotFound as error:
            self._missing = error  # The server answered and took the key; the next step tells the rest.
        return _Found(f"{self._client.credential.endpoint} answers and takes the key")

    def cache(self) -> _Found:
        name = self._cache.options.cache_name
        if self._missing is None:
            return _Found(f"{name!r} exists")
        if not self._create:
            raise self._missing
        created = self._run(operations.create())
        return _Found(f"{name!r} was created" if created else f"{name!r} exists")

    def round_trip(self) -> _Found:
        key, value = f"momento_check:{uuid4()}", {"written": uuid4().hex}
        self._cache.set(key, value, PROBE_TIMEOUT)
        read = self._cache.get(key)
        deleted = self._cache.delete(key)
        if read != value:
            raise ServerError("A value that was just written was not read back.", READ_BACK_FIX)
        if not deleted:
            raise ServerError("A value that was just written was not there to delete.", READ_BACK_FIX)
        return _Found("wrote, read and deleted a value")

    def latency(self) -> _Found:
        key = f"momento_check:{uuid4()}"
        milliseconds = []
        for done in range(self._requests):
            self._progress("latency", done, self._requests)
            started = perf_counter()
            try:
                self._cache.get(key)
            except LimitExceeded as error:
                fix = f"{error.fix} Or time fewer gets: these were {self._requests} on end."
                raise LimitExceeded(error.cause, fix, error.limit) from error
            milliseconds.append((perf_counter() - started) * 1000)
        self._latency = Latency.of(milliseconds)
        return _Found(str(self._latency), self._latency)

    def limits(self) -> _Found:
        key = f"momento_check:{uuid4()}"
        momento_key = self._cache.make_key(key).encode()
        self._cache.set(key, "", None)
        try:
            stored = self._run(operations.get(momento_key)) or b""
            remaining = self._run(_remaining(momento_key))
        finally:
            self._cache.delete(key)
        found = (
            limits.of_ttl(
                self._cache.default_timeout,
                self._cache.options.max_ttl,
                None if remaining is None else remaining / 1000,
            ),
            *limits.of_item_size(len(momento_key.removesuffix(key.encode())) + len(stored)),
            limits.of_rate(self._latency.per_second),
        )
        noted = sum(not fact.ok for fact in found)
        return _Found(
            "what was found beside what Momento allows" + (", with a remark" if noted else ""), facts=found
        )

    def _probe_key(self) -> bytes:
        return self._cache.make_key(f"momento_check:{uuid4()}").encode()

    def _run(self, steps: Any) -> Any:
        return self._client.run(self._cache.options.cache_name, steps)


def _remaining(key: bytes) -> Operation[int | None]:
    milliseconds: int | None = yield ItemGetTtl(key)
    return milliseconds


def _format(options: CacheOptions) -> str:
    parts = [options.serializer, options.compressor, "signed" if options.sign else "unsigned"]
    if options.encryption_key is not None:
        parts[-1] = "encrypted"
    return ", ".join(part for part in parts if part)
