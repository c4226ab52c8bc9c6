"""A program that used the cache, turns itself into a daemon and closes all descriptors on the way."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import asyncio, os, sys

import django
from django.conf import settings

options = {"CREDENTIALS": "local", "ENDPOINT": sys.argv[1]}
cache = {"BACKEND": "django_momento.cache.MomentoCache", "LOCATION": "tests", "OPTIONS": options}
settings.configure(SECRET_KEY="only-for-tests", CACHES={"default": cache})
django.setup()

import django_momento
from django_momento.client import native_threads
from django.core.cache import cache

# However busy the machine is, the threads are waited for.
native_threads.wait_until_grpc_ends.__defaults__ = (60.0,)
cache.set("key", "value", 600)
cache.set_many({"a": 1, "b": 2})
asyncio.run(cache.aget("key"))
django_momento.close_connections()
done, write = os.pipe()
if os.fork():
    os.close(write)
    print(os.read(done, 100).decode(), flush=True)
    os._exit(0)
os.setsid()
if os.fork():
    os._exit(0)
kept = os.dup2(write, 3)
os.closerange(4, 4096)
nothing = os.open(os.devnull, os.O_RDWR)
for standard in (0, 1, 2):
    os.dup2(nothing, standard)
answers = cache.get("key"), cache.get_many(["a", "b"]), asyncio.run(cache.aget("key"))
os.write(kept, repr(answers).encode())
os._exit(0)
"""


def test_a_daemon_uses_the_cache_after_it_closed_all_descriptors(address: str, tmp_path: Path) -> None:
    """``close_connections`` before the fork leaves gRPC none that could be closed."""
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM, address],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
        cwd=tmp_path,
    )

    assert "('value', {'a': 1, 'b': 2}, 'value')" == ended.stdout.strip(), ended.stderr


THREADS = """
import os, sys, threading

import django
from django.conf import settings

options = {"CREDENTIALS": "local", "ENDPOINT": sys.argv[1]}
cache = {"BACKEND": "django_momento.cache.MomentoCache", "LOCATION": "tests", "OPTIONS": options}
settings.configure(SECRET_KEY="only-for-tests", CACHES={"default": cache})
django.setup()

import django_momento
from django_momento.client import native_threads
from django.core.cache import cache

# However busy the machine is, the threads are waited for.
native_threads.wait_until_grpc_ends.__defaults__ = (60.0,)
# The system shows a thread of Python's for a moment after it has ended.
of_python = {threading.get_native_id()}
threading.setprofile(lambda *_: of_python.add(threading.get_native_id()))
for _ in range(5):
    cache.set("key", "value", 60)
    django_momento.close_connections()
    print(len(set(map(int, os.listdir("/proc/self/task"))) - of_python))
"""


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="needs Linux, which shows the threads")
def test_no_thread_of_grpc_is_left_when_the_connections_are_closed(address: str, tmp_path: Path) -> None:
    """A fork at this moment would leave the descriptors of those threads to the child."""
    ended = subprocess.run(
        [sys.executable, "-c", THREADS, address],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
        cwd=tmp_path,
    )

    assert ["0"] * 5 == ended.stdout.split()
