"""What the kernel knows of the connections of a process."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import pytest

ESTABLISHED = "01"


def established(pid: int, address: str) -> int:
    """Return how many connections to the server at this address a process has."""
    if not Path("/proc/net/tcp").exists():
        pytest.skip("needs Linux's /proc")
    port = int(address.rpartition(":")[2])
    ours = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        try:
            ours.add(os.readlink(descriptor))  # noqa: PTH115 - not a path: socket:[123]
        except FileNotFoundError:
            continue
    return sum(
        f"socket:[{inode}]" in ours
        for _, _, remote, state, _, _, _, _, _, inode, *_ in _tcp_rows()
        if state == ESTABLISHED and int(remote.partition(":")[2], 16) == port
    )


def _tcp_rows() -> list[list[str]]:
    # gRPC's sockets are of IPv6, even to an address of IPv4.
    tables = [Path("/proc/net/tcp"), Path("/proc/net/tcp6")]
    lines = itertools.chain(*(table.read_text().splitlines()[1:] for table in tables if table.exists()))
    return [line.split() for line in lines]
