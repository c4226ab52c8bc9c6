"""uvicorn, whose workers are processes with an event loop each."""

from __future__ import annotations

import itertools
from pathlib import Path

from tests.kit.processes import Server
from tests.kit.waiting import patience
from tests.processes.requests import ask, wait_until_open


def test_two_workers_answer_every_request(address: str, tmp_path: Path) -> None:
    """Hundreds of requests at a time, in two processes: every answer is right, and no count is lost."""
    arguments = ("--workers", "2", "--port", "0", "--lifespan", "off", "--no-access-log")
    uvicorn = ("uvicorn", "tests.processes.asgi:application", *arguments)
    with Server(*uvicorn, log=tmp_path / "log", address=address) as server:
        site = server.printed(r"running on (http://\S+)")
        wait_until_open(site)
        answers = ask(site, "async", range(400), at_once=50)
        numbers = itertools.count(400)
        for _ in patience():
            if len({answer["pid"] for answer in answers}) == 2:
                break
            answers += ask(site, "async", itertools.islice(numbers, 50), at_once=50)
        assert len({answer["pid"] for answer in answers}) == 2
        assert sorted(answer["count"] for answer in answers) == [*range(1, len(answers) + 1)]
        assert server.terminate() == 0
        assert "Traceback" not in server.output
