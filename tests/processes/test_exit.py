"""The end of a process does not wait for calls in flight."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.kit.waiting import HANG_GUARD

# Seconds: longer than anything here may take.
CLIENT_TIMEOUT = 5 * HANG_GUARD

SCRIPT = """
import asyncio, atexit, sys, threading

@atexit.register  # before all others, so that it runs last
def check():
    me = threading.get_ident()
    modules = [
        frame.f_globals["__name__"] for thread, frame in sys._current_frames().items() if thread != me
    ]
    print("inside gRPC:", [name for name in modules if name.startswith("grpc.")], flush=True)

from django.conf import settings
settings.configure(CACHES={{"default": {{
    "BACKEND": "django_momento.cache.MomentoCache", "LOCATION": "tests",
    "OPTIONS": {{"CREDENTIALS": "local", "ENDPOINT": "127.0.0.1:{port}", "CLIENT_TIMEOUT": {timeout}}},
}}}}, SECRET_KEY="a" * 50)
import django
django.setup()
from django.core.cache import cache

async def main():
    tasks = [asyncio.ensure_future(call) for call in (
        cache.aget("k"), cache.aget_many(["j", "k"]), cache.aset_many({{"j": 1, "k": 2}}),
        cache.ahas_key("k"), cache.adelete_many(["j", "k"]),
    )]
    await asyncio.sleep(0.5)
    print("in flight", flush=True)
    # However busy the machine is, the end of the process waits for the threads in gRPC.
    from django_momento.client import leaving
    leaving.MAX_WAIT = {patience}
    {end}

def in_thread():
    cache.get("k")

if {threads}:
    threading.Thread(target=in_thread, daemon=True).start()
try:
    asyncio.run(main())
except RuntimeError:
    pass
print("ended", flush=True)
"""


@pytest.fixture
def silent_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        yield silent.getsockname()[1]


@pytest.mark.parametrize("threads", [False, True], ids=["tasks", "tasks and a thread"])
@pytest.mark.parametrize("end", ["return", "raise RuntimeError", "sys.exit(0)"])
def test_a_process_ends_with_calls_in_flight(silent_port: int, end: str, threads: bool) -> None:
    """A deploy or an autoscaler stops a process: it does not wait for the deadlines of its calls."""
    script = SCRIPT.format(
        port=silent_port, timeout=CLIENT_TIMEOUT, patience=HANG_GUARD / 2, end=end, threads=threads
    )
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=HANG_GUARD, check=False
    )
    assert "in flight" in ended.stdout, ended.stderr
    assert 0 == ended.returncode, ended.stderr
    assert "" == ended.stderr
    if not threads:
        assert "inside gRPC: []" in ended.stdout, "C++ aborts the process if Python ends a thread in it."
