"""A Celery application that uses the cache when it is imported, before its worker forks, and in tasks."""

import asyncio
import os
from pathlib import Path
from typing import Any

import django
from celery import Celery

django.setup()

from django.core.cache import cache


def application(directory: Path) -> Celery:
    """Return a Celery application whose messages and results are files."""
    for name in ("messages", "results", "control"):
        (directory / name).mkdir(exist_ok=True)
    app = Celery("tests", broker="filesystem://", backend=f"file://{directory / 'results'}")
    app.conf.update(
        broker_transport_options={
            "data_folder_in": str(directory / "messages"),
            "data_folder_out": str(directory / "messages"),
            "control_folder": str(directory / "control"),
            "polling_interval": 0.05,
        },
        broker_connection_retry_on_startup=True,
        worker_prefetch_multiplier=1,
        worker_hijack_root_logger=False,
    )
    return app


app = application(Path(os.environ["CELERY_DIRECTORY"]))

cache.set("imported", os.getpid())
assert asyncio.run(cache.aget("imported")) == cache.get("imported") == os.getpid()
cache.set("tasks", 0)


@app.task(name="remember")
def remember(number: int) -> list[Any]:
    cache.set(f"task-{number}", number)
    assert asyncio.run(cache.aget_many([f"task-{number}", "none"])) == {f"task-{number}": number}
    return [os.getpid(), cache.get("imported"), cache.get(f"task-{number}"), cache.incr("tasks")]
