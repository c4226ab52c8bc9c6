"""The exception of a signal's handler comes out, wherever this package expects exceptions and goes on."""

from __future__ import annotations

import ast
import inspect
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from django.core.cache import caches
from django.core.cache.backends.locmem import LocMemCache

import django_momento
from django_momento.events import observers
from django_momento.interruption import is_interruption
from django_momento.migration.state import migrations
from django_momento.sessions import SessionStore
from tests.conftest import MakeCache
from tests.kit.tables import table

PACKAGE = Path(django_momento.__file__).parent


class TimeLimit(Exception):
    """As the soft time limit of a task queue."""


@pytest.fixture(autouse=True)
def _handler() -> Iterator[None]:
    def handle(*_: object) -> None:
        raise TimeLimit

    before = signal.signal(signal.SIGALRM, handle)
    yield
    signal.signal(signal.SIGALRM, before)
    migrations.forget()


def interrupt(*_: object) -> Any:
    signal.raise_signal(signal.SIGALRM)


class Interrupting:
    """A value whose pickling or unpickling is interrupted."""

    def __init__(self, *, when_pickled: bool) -> None:
        self.when_pickled = when_pickled

    def __reduce__(self) -> Any:
        if self.when_pickled:
            interrupt()
        return interrupt, ()


def unpickle(make_cache: MakeCache) -> None:
    cache = make_cache(OPTIONS={"SERIALIZER": "pickle", "IGNORE_EXCEPTIONS": True})
    cache.set("k", Interrupting(when_pickled=False))
    cache.get("k", "a default")


def name_a_group(make_cache: MakeCache) -> None:
    cache = make_cache(OPTIONS={"KEY_GROUP": f"{__name__}.interrupt"})
    observers.append(print)
    try:
        cache.get("k")
    finally:
        observers.remove(print)


def observe(make_cache: MakeCache) -> None:
    cache = make_cache()
    observers.append(interrupt)
    try:
        cache.get("k")
    finally:
        observers.remove(interrupt)  # It is still there.


def change_a_session(make_cache: MakeCache) -> None:
    make_cache(OPTIONS={"SERIALIZER": "pickle"})
    store = SessionStore("a" * 32)
    store["value"] = 1
    store.save()
    store["value"] = Interrupting(when_pickled=True)
    store.save()


@table("act", [unpickle, name_a_group, observe, change_a_session], afresh=True)
def test_a_time_limit_comes_out_of_code_that_goes_on_after_errors(
    act: Callable[[MakeCache], None], make_cache: MakeCache
) -> None:
    with pytest.raises(TimeLimit):
        act(make_cache)


class Interrupted(LocMemCache):
    """A side of a migration. Its calls are interrupted while ``is_armed`` has its name."""

    is_armed: ClassVar[set[str]] = set()

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        side = super().__getattribute__("cache_side")
        if name in VERBS and side in Interrupted.is_armed:
            return lambda *args, **more: interrupt()
        return found

    def __init__(self, name: str, params: Any) -> None:
        self.cache_side = name
        super().__init__(name, params)


VERBS: dict[str, Callable[[str], tuple[Any, ...]]] = {
    "get": lambda key: (key,),
    "set": lambda key: (key, 1),
    "add": lambda key: (f"new-{key}", 1),
    "touch": lambda key: (key,),
    "has_key": lambda key: (key,),
    "delete": lambda key: (key,),
    "incr": lambda key: (key,),
    "get_many": lambda key: ([key],),
    "set_many": lambda key: ({key: 1},),
    "delete_many": lambda key: ([key],),
    "get_or_set": lambda key: (f"new-{key}", 1),
    "clear": lambda key: (),
}


@table("phase", ["shadow", "dual"], afresh=True)
@table("side", ["old", "new"], afresh=True)
def test_a_time_limit_comes_out_of_either_side_of_a_migration(settings: Any, phase: str, side: str) -> None:
    """A failure of one side costs a caller nothing, but a time limit is none."""
    backend = f"{__name__}.Interrupted"
    settings.CACHES = {
        "old": {"BACKEND": backend, "LOCATION": "old"},
        "new": {"BACKEND": backend, "LOCATION": "new"},
        "default": {
            "BACKEND": "django_momento.migration.DualCache",
            "OPTIONS": {"OLD": "old", "NEW": "new", "PHASE": phase},
        },
    }
    cache = caches["default"]
    # These ask the side only if the other has no value, or for a sample.
    reads = {"get", "has_key", "get_many"}
    seldom = {("shadow", "new"): reads, ("dual", "old"): reads}
    lost = []
    cache.clear()
    for verb, arguments in VERBS.items():
        if verb in seldom.get((phase, side), ()):
            continue
        cache.set(verb, 1)
        Interrupted.is_armed = {side}
        try:
            getattr(cache, verb)(*arguments(verb))
        except TimeLimit:
            continue
        finally:
            Interrupted.is_armed = set()
        lost.append(verb)
    assert [] == lost


def test_an_interruption_is_known_without_the_frame_that_it_came_in() -> None:
    """Python removes the frames of its import system from tracebacks."""

    def handler(signum: int, frame: object) -> None:
        raise TimeLimit

    def import_something() -> None:
        handler(signal.SIGALRM, inspect.currentframe())

    with pytest.raises(TimeLimit) as caught:
        import_something()
    traceback = caught.value.__traceback__
    assert traceback is not None
    assert traceback.tb_next is not None
    traceback.tb_next = traceback.tb_next.tb_next
    assert is_interruption(caught.value)


# Handlers that need not let an interruption pass: they run on threads of their own, where Python calls no
# handler of a signal, in commands, at the end of the process, or within repr().
QUIET = {
    "cache.MomentoCache.__repr__",
    "client.discarded._deliver",
    "client.futures.cancel_elsewhere.cancel",
    "client.interrupts.release_interrupted_locks",
    "client.leaving.leave",
    "client.loading._load_elsewhere.load",
    "client.lone_calls.LoneCall._run",
    "client.readers.Readers.submit.work",
    "client.sdk._run_elsewhere.run",
    "credentials.function._call",
    "credentials.secrets_manager.get_secret_value",
    "forking._run_all",
    "policies.shield.Repairs._run",
    "traces.reading.TraceFile._data",
}
CHECKED = {"is_interruption", "is_foreign", "is_to_pass", "raise_foreign", "find_cause"}
# Packages that run in no call of a cache.
ELSEWHERE = ("checks", "diagnostics", "forecast", "local", "management", "testing")


def broad_handlers(tree: ast.AST, where: str) -> Iterator[tuple[str, ast.AST]]:
    """Yield each place that goes on after any exception, by its name."""
    for node in ast.iter_child_nodes(tree):
        named = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        inner = f"{where}.{node.name}" if named else where  # type: ignore[attr-defined]  # it is of those with names
        if isinstance(node, ast.ExceptHandler) and names_of(node.type) & {"Exception", "BaseException", ""}:
            yield where, node
        if isinstance(node, ast.With) and "suppress" in names_of(node) and "Exception" in names_of(node):
            yield where, node
        yield from broad_handlers(node, inner)


def names_of(node: ast.AST | None) -> set[str]:
    return {""} if node is None else {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}


def test_each_handler_of_any_exception_lets_interruptions_pass() -> None:
    """A handler that goes on after any exception would swallow a time limit that comes at that moment."""
    swallowing = set()
    for path in sorted(PACKAGE.rglob("*.py")):
        place = path.relative_to(PACKAGE).with_suffix("")
        if place.parts[0] in ELSEWHERE:
            continue
        for where, node in broad_handlers(ast.parse(path.read_text()), ".".join(place.parts)):
            raises = any(isinstance(each, ast.Raise) and each.exc is None for each in ast.walk(node))
            if not raises and not names_of(node) & CHECKED:
                swallowing.add(where)
    assert swallowing == QUIET
