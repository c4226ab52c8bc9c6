"""The end of a process that has used the cache."""

from __future__ import annotations

import pytest

from tests.kit.processes import run

WAYS = [
    "end_of_the_program",
    "system_exit",
    "system_exit_in_a_loop",
    "calls_in_flight",
    "first_call_in_flight",
    "threads_that_ended",
    "threads_that_go_on",
    "at_exit",
]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("embedded", [False, True], ids=["server", "embedded"])
def test_a_process_ends_quietly(way: str, embedded: bool, address: str) -> None:
    """Its status is 0 and it prints nothing, however it ends, with a server elsewhere or in itself."""
    ended = run("leaving", way, address="embedded" if embedded else address)
    assert (ended.stdout, ended.stderr) == ("", "")
