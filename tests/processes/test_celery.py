"""Celery's prefork worker, which imports the application before it forks its pool."""

from __future__ import annotations

import json
from pathlib import Path

from tests.kit.processes import Server, run


def test_a_prefork_worker_answers_every_task(address: str, tmp_path: Path) -> None:
    """The cache works where the application is imported and in the forked pool, and the worker ends."""
    arguments = ("--pool", "prefork", "--concurrency", "2", "--without-gossip", "--without-mingle")
    directory = {"CELERY_DIRECTORY": str(tmp_path)}
    worker = ("celery", "--app", "tests.processes.celery_app", "worker", *arguments)
    with Server(*worker, log=tmp_path / "log", address=address, **directory) as server:
        answers = json.loads(run("celery_tasks", address=address, **directory).stdout)
        parent = server.process.pid
        assert [answer[1:3] for answer in answers] == [[parent, number] for number in range(100)]
        assert parent not in {answer[0] for answer in answers}
        assert sorted(answer[3] for answer in answers) == [*range(1, 101)]
        assert server.terminate() == 0
        assert "Traceback" not in server.output
