"""Values and pages that many requests need at the same moment, under real servers with several workers."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.kit.processes import Server
from tests.processes.requests import fetch, wait_until_open

WORKERS = 2
REQUESTS = 40

GUNICORN = (
    *("gunicorn", "tests.processes.wsgi:application", "--bind", "127.0.0.1:0", "--timeout", "120"),
    *("--workers", str(WORKERS), "--worker-class", "gthread", "--threads", "8"),
)
UVICORN = (
    *("uvicorn", "tests.processes.asgi:application", "--workers", str(WORKERS), "--port", "0"),
    *("--lifespan", "off", "--no-access-log"),
)


def ask_at_once(url: str) -> list[dict[str, Any]]:
    with ThreadPoolExecutor(REQUESTS) as pool:
        return list(pool.map(lambda _: fetch(url), range(REQUESTS)))


@pytest.mark.parametrize("colour", ["sync", "async"])
@pytest.mark.parametrize(
    ("command", "listening"),
    [(GUNICORN, r"Listening at: (http://\S+)"), (UVICORN, r"running on (http://\S+)")],
    ids=["gunicorn", "uvicorn"],
)
def test_many_requests_run_a_computation_once(
    command: tuple[str, ...], listening: str, colour: str, address: str, tmp_path: Path
) -> None:
    """With a lease once for all workers, and the view of a page at most once for each."""
    with Server(*command, log=tmp_path / "log", address=address) as server:
        site = server.printed(listening)
        wait_until_open(site)

        values = ask_at_once(f"{site}/{colour}/once")
        pages = ask_at_once(f"{site}/{colour}/page")

        assert [value["runs"] for value in values] == [1] * REQUESTS
        assert len({page["pid"] for page in pages}) <= WORKERS
        assert {page["runs"] for page in pages} <= set(range(1, WORKERS + 1))
        assert server.terminate() == 0
        assert "Traceback" not in server.output
