"""A process in an outage whose handler of a signal uses the cache, and forks, wherever its thread is."""

import json
import os
import random
import signal
import threading
from collections import Counter

import django

from django_momento.client.fork_gate import gate

django.setup()

from django.core.cache import caches

from django_momento.exceptions import MomentoCacheError

HANDLERS = 500

cache = caches["default"]
errors: Counter[str] = Counter()
handled = 0


def call() -> None:
    for act in (cache.get, cache.has_key):
        try:
            act("key")
        except MomentoCacheError as error:
            errors[type(error).__name__] += 1


def arm() -> None:
    signal.setitimer(signal.ITIMER_REAL, random.uniform(1e-5, 2e-3))


def handle(*_: object) -> None:
    global handled  # noqa: PLW0603 - a handler has no other place
    handled += 1
    call()
    if not handled % 50:
        child = os.fork()
        if not child:
            os._exit(0)
        os.waitpid(child, 0)
    if handled < HANDLERS:
        arm()


if __name__ == "__main__":
    threads = [threading.Thread(target=lambda: [call() for _ in range(2000)]) for _ in range(3)]
    for thread in threads:
        thread.start()
    signal.signal(signal.SIGALRM, handle)
    arm()
    while handled < HANDLERS:
        call()
    for thread in threads:
        thread.join()
    result = {"in_flight": gate.in_flight, "handled": handled, "errors": errors}
    print(json.dumps(result))  # noqa: T201 - it is the result
