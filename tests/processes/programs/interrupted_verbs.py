"""Interrupts the verb that the first argument names at each moment, and calls it on another thread then.

The exceptions are kept with their frames, as a tracker of errors does. Every wait for a caller that was
interrupted would be longer than the test.
"""

import json
import sys
import threading
import time
import traceback
from collections.abc import Callable
from functools import partial
from typing import Any

import django

django.setup()

from django.conf import settings

from django_momento.cache import MomentoCache
from django_momento.client.fork_gate import gate
from django_momento.client.registry import clients
from django_momento.policies import near, versions
from django_momento.policies.flights import flights
from django_momento.policies.locks import Lock
from tests.kit.interrupting import Call, Stop

# Seconds. Longer than the test.
FOR_EVER = 3000
near.MAX_WAIT = versions.MAX_WAIT = FOR_EVER

# Seconds that a caller may take, and exceptions that are kept.
HANG_GUARD = 60
KEPT = 20

Act = Callable[[MomentoCache, str], Any]


def make_cache(**options: Any) -> MomentoCache:
    given = settings.CACHES["default"]["OPTIONS"]
    return MomentoCache("tests", {"OPTIONS": {**given, **options}})


def get_or_set(cache: MomentoCache, key: str, **more: Any) -> Any:
    return cache.get_or_set(key, lambda: ["value"], 60, wait=FOR_EVER, **more)


def hold(cache: MomentoCache, key: str) -> None:
    with cache.lock(key, timeout=FOR_EVER):
        pass


def hold_from_call_to_call(cache: MomentoCache, key: str) -> None:
    lock = cache.lock(key, timeout=FOR_EVER)
    lock.acquire()
    lock.release()


def memoize(cache: MomentoCache, key: str) -> None:
    with cache.memo():
        cache.get(key)


def keep_stale(cache: MomentoCache, key: str) -> None:
    get_or_set(cache, key, stale=60)
    cache.touch(key, 30)


def tag(cache: MomentoCache, key: str) -> None:
    cache.set(key, "value", tags=[key])


def store_elsewhere(cache: MomentoCache, key: str) -> None:
    plain.set(key, "value")


def nothing(cache: MomentoCache, key: str) -> None:
    """Do nothing before the verb."""


NEAR = {"NEAR_SECONDS": 60}
SHIELD = {"NEAR_SECONDS": 60, "STALE_IF_ERROR": 60}

# By name: the options of the cache, the verb, and a call before it.
VERBS: dict[str, tuple[dict[str, Any], Act, Act]] = {
    "get_or_set": ({}, get_or_set, nothing),
    "lease": ({}, partial(get_or_set, lease=FOR_EVER), nothing),
    "tags": ({"TAG_SECONDS": 0}, lambda cache, key: get_or_set(cache, key, tags=[key]), nothing),
    "tagged": ({"TAG_SECONDS": 0}, MomentoCache.get, tag),
    "set": ({}, tag, nothing),
    "invalidate": ({}, lambda cache, key: cache.invalidate_tags(key), tag),
    "near": (NEAR, MomentoCache.get, nothing),
    "near_set": (NEAR, lambda cache, key: cache.set(key, "new"), MomentoCache.get),
    "shield": (SHIELD, partial(get_or_set, lease=FOR_EVER), nothing),
    # Every call asks for the version, and waits for the question of another.
    "prefix": ({"CLEAR": "prefix", "TAG_SECONDS": 0.001, **SHIELD}, get_or_set, nothing),
    "near_tags": ({"TAG_SECONDS": 0.001, **NEAR}, MomentoCache.get, tag),
    "memo": ({}, memoize, store_elsewhere),
    "lock": ({}, hold, nothing),
    "acquire": ({}, hold_from_call_to_call, nothing),
    "run_once": ({}, lambda cache, key: cache.run_once(key, FOR_EVER), nothing),
    "rate_limit": ({}, lambda cache, key: cache.rate_limit(key, 5, 60), nothing),
    "ignoring": ({"IGNORE_EXCEPTIONS": True}, partial(get_or_set, lease=FOR_EVER), nothing),
}


def find_problems(name: str, cache: MomentoCache, act: Act, key: str, call: Call) -> list[str]:
    """Return the traces of a call that was interrupted."""
    problems = []
    if not isinstance(call.error, Stop) and not call.is_swallowed:
        problems.append(f"the exception became {call.error!r}")
    if len(flights):
        problems.append(f"{len(flights)} flights")
    client = clients.peek(cache.options.connection)
    memory = None if client is None else client.memory
    if memory is not None and memory.store.in_flight:
        problems.append(f"{memory.store.in_flight} keys in flight in memory")
    results: list[Any] = []
    failures: list[str] = []

    def call_again() -> None:
        try:
            results.append(act(cache, key))
        except BaseException:  # noqa: BLE001 - reported, whatever it is
            failures.append(traceback.format_exc())

    caller = threading.Thread(target=call_again, daemon=True)
    caller.start()
    caller.join(HANG_GUARD)
    if failures:
        problems.append(f"another caller failed: {failures[0]}")
    elif not results:
        frames = sys._current_frames()  # noqa: SLF001 - documented, and for debuggers
        where = traceback.format_stack(frames.get(caller.ident or 0))
        problems.append(f"another caller waits: {''.join(where)}")
    if name == "run_once" and results == [False] and not call.result:
        problems.append("nobody may run the job")
    until = time.monotonic() + HANG_GUARD
    while gate.in_flight and time.monotonic() < until:
        time.sleep(0.001)
    if gate.in_flight:
        problems.append(f"{gate.in_flight} calls in flight")
    return problems


def main(name: str, step: int) -> None:
    options, act, before = VERBS[name]
    cache = make_cache(**options)
    # The first call imports modules. An exception in an import can leave Python's own lock of it locked.
    before(cache, f"{name}-first")
    act(cache, f"{name}-first")
    kept: list[BaseException | None] = [None] * KEPT
    problems: list[str] = []
    number = 0
    while not problems:
        key = f"{name}{number}"
        before(cache, key)
        # A lock stays held until its timeout if its release has not even begun.
        call = Call(partial(act, cache, key), number, spared=(Lock.__exit__, Lock.release))
        if call.is_over:
            break
        kept[number % KEPT] = call.error
        problems = [f"{number}: {each}" for each in find_problems(name, cache, act, key, call)]
        if problems and call.error is not None:
            problems += traceback.format_exception(call.error)
        number += step
    print(json.dumps({"problems": problems, "interruptions": number // step}))  # noqa: T201 - the result


if __name__ == "__main__":
    plain = make_cache()
    main(sys.argv[1], int(sys.argv[2]))
