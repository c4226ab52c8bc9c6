"""Forks after no thread could be started, while a thread of ours delivers the calls of the old channel."""

import json
import os
import sys
import threading
from unittest import mock

import django

django.setup()

from django.core.cache import cache

from django_momento.client import fork_gate
from django_momento.exceptions import MomentoCacheError
from tests.kit.children import CHILD_GUARD, run_in_child

CHILDREN = 10


def exhaust_threads() -> None:
    """Make a call at a limit of threads, which costs its channel, and a call after it."""
    cache.set_many({"a": 1, "b": 2})
    with mock.patch.object(threading.Thread, "start", side_effect=RuntimeError("can't start new thread")):
        try:
            cache.delete_many(["a", "b"])
        except MomentoCacheError:
            pass
        else:
            raise AssertionError("the call needs no thread any more: exhaust something else")
    cache.delete_many(["a", "b"])
    assert threading.active_count() > 1, "no thread serves the old channel any more"


def use() -> None:
    cache.set("child", os.getpid())
    assert cache.get("child") == os.getpid()


if __name__ == "__main__":
    # However busy the machine is, a fork waits for the thread.
    fork_gate.MAX_WAIT = CHILD_GUARD
    exhaust_threads()
    statuses = [run_in_child(use) for _ in range(CHILDREN)]
    cache.set("parent", "value")
    json.dump({"statuses": statuses, "parent": cache.get("parent")}, sys.stdout)
