"""Ports for servers that cannot choose one themselves."""

from __future__ import annotations

import socket

import pytest

from tests.kit import ports
from tests.kit.ports import HOST, free_port


def test_a_free_port_is_none_that_the_system_gives_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """A port in use is passed over."""
    taken = free_port()
    monkeypatch.setattr(ports, "RANGE", range(taken, taken + 1))
    with socket.create_server((HOST, taken)), socket.create_server((HOST, 0)) as given:
        assert taken < given.getsockname()[1]
        with pytest.raises(AssertionError, match="no free port"):
            free_port()
