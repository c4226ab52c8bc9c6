"""The handler of a signal that has interrupted gRPC waits for no other caller of the cache.

The interrupted call may hold a lock of gRPC's, which the other caller waits for.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from tests.conftest import MakeCache


def run_inside_grpc(act: Callable[[], Any]) -> Any:
    """Run a function below a frame of gRPC's channel, as the handler of a signal runs."""
    scope: dict[str, Any] = {"__name__": "grpc._channel", "act": act}
    exec("def interrupted():\n    return act()", scope)
    return scope["interrupted"]()


def test_a_computation_of_another_thread_is_not_waited_for(make_cache: MakeCache) -> None:
    cache = make_cache()
    has_begun, may_end = threading.Event(), threading.Event()

    def compute() -> str:
        has_begun.set()
        may_end.wait(60)
        return "theirs"

    thread = threading.Thread(target=lambda: cache.get_or_set("k", compute, stale=5))
    thread.start()
    assert has_begun.wait(60)
    try:
        ours = run_inside_grpc(lambda: cache.get_or_set("k", "ours", stale=5))
        assert thread.is_alive()
        assert ours == "ours"
    finally:
        may_end.set()
        thread.join()
