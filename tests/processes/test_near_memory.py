"""The memory that a near cache really takes, as the system counts it."""

from __future__ import annotations

import sys

import pytest

from django_momento.local import LocalServer
from tests.conftest import CACHE_NAME
from tests.kit.processes import run


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("verb", ["get_many", "set_many"])
def test_a_process_grows_by_little_more_than_the_bound(verb: str) -> None:
    """Whether its values were read or written: objects that were freed between them leave no gaps."""
    with LocalServer(caches=[CACHE_NAME]) as server:
        ratio = float(run("near_memory", verb, address=server.address).stdout)

    assert 0.5 < ratio < 1.3
