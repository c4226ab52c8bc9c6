"""Databases of SQLite for a test. The suite itself has none."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from asgiref.local import Local
from django.db import connections
from django.db.backends.signals import connection_created

ALIASES = ("default", "other")


@contextmanager
def sqlite_databases(folder: Path, blocker: Any) -> Iterator[None]:
    """Make each alias a file in a folder. ``blocker`` is the fixture ``django_db_blocker``."""
    configured = connections.configure_settings(
        {alias: {"ENGINE": "django.db.backends.sqlite3", "NAME": folder / alias} for alias in ALIASES}
    )
    # Threads keep connections of their own, which belong to these settings too.
    ours = {"settings": configured, "_connections": Local(thread_critical=True)}
    opened: list[Any] = []

    def note(connection: Any, **_: Any) -> None:
        opened.append(connection)

    with blocker.unblock(), patch.dict(vars(connections), ours):
        connection_created.connect(note)
        try:
            yield
        finally:
            connection_created.disconnect(note)
            # Those of every thread: Python 3.13 warns of each that is garbage before it is closed.
            for connection in opened:
                connection.inc_thread_sharing()
                connection.close()
