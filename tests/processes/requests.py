"""Many requests to a site at a time, each of which must be answered right."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.request import urlopen

from tests.kit.waiting import HANG_GUARD, patience


def fetch(url: str) -> Any:
    with urlopen(url, timeout=HANG_GUARD) as response:
        return json.load(response)


def wait_until_open(site: str) -> None:
    """Wait for a server that says where it will listen before it does."""
    host, port = site.removeprefix("http://").split(":")
    for _ in patience():
        with contextlib.suppress(ConnectionRefusedError), socket.create_connection((host, int(port))):
            return


def ask(site: str, colour: str, numbers: Iterable[int], at_once: int = 16) -> list[dict[str, Any]]:
    """Ask for a page per number; check each answer against what it must be. Return them all."""
    with ThreadPoolExecutor(at_once) as pool:
        numbered = list(numbers)
        answers = list(pool.map(lambda number: fetch(f"{site}/{colour}/{number}"), numbered))
    for number, answer in zip(numbered, answers, strict=True):
        key = f"{colour}-{number}"
        assert (answer["value"], answer["many"]) == (number, {f"{key}-a": "a", f"{key}-b": "b"})
    return answers
