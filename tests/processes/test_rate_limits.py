"""A rate limit that several processes share, one of which is killed."""

from __future__ import annotations

import re
from contextlib import ExitStack
from pathlib import Path

from django_momento.local import LocalServer
from tests.conftest import CACHE_NAME
from tests.kit.processes import Server
from tests.kit.waiting import eventually

LIMIT, HITS, THREADS = 300, 200, 4


def test_a_killed_process_takes_no_more_than_it_counted(tmp_path: Path) -> None:
    """All counts differ, and exactly as many hits as the limit are allowed: the killed one's among them."""
    with LocalServer(caches=[CACHE_NAME]) as momento, ExitStack() as stack:
        program = ("tests.processes.programs.limited", str(LIMIT), str(HITS), str(THREADS))
        processes = [
            stack.enter_context(
                Server(
                    *program,
                    log=tmp_path / f"{number}.log",
                    address=momento.address,
                    CACHE_PREFIX="shared",
                )
            )
            for number in range(4)
        ]
        processes[0].printed(r"(allowed|denied)")
        processes[0].process.kill()
        for process in processes[1:]:
            process.printed("(done)")
        eventually(lambda: processes[0].process.poll() is not None)
        counts = [
            (outcome == "allowed", int(count))
            for process in processes
            for outcome, count in re.findall(r"(allowed|denied) (\d+)\n", process.output)
        ]
        calls = momento.calls["DictionaryIncrement"]

    numbers = [count for _, count in counts]
    assert len({*numbers}) == len(numbers)
    assert max(numbers) <= calls
    assert all(is_allowed == (count <= LIMIT) for is_allowed, count in counts)
    # Each of the killed one's threads may have had a hit counted that it did not print.
    assert LIMIT - THREADS <= sum(is_allowed for is_allowed, _ in counts) <= LIMIT
