"""The guard against forks beside a server, as the root conftest installs it."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.kit.fork_guard import MESSAGE
from tests.kit.processes import ROOT
from tests.kit.waiting import HANG_GUARD

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs fork")

PROGRAM = """
import json
import grpc, grpc.aio
import tests.conftest
from django_momento.local import LocalServer
from tests.kit.children import run_in_child

def statuses():
    return [
        run_in_child(open_channel)
        for open_channel in (
            lambda: grpc.insecure_channel("127.0.0.1:1"),
            lambda: grpc.secure_channel("127.0.0.1:1", grpc.ssl_channel_credentials()),
            lambda: grpc.aio.insecure_channel("127.0.0.1:1"),
            lambda: None,
        )
    ]

outcomes = {"before": statuses()}
with LocalServer(caches=["tests"]):
    outcomes["beside"] = statuses()
    grpc.insecure_channel("127.0.0.1:1")
outcomes["after"] = statuses()
print(json.dumps(outcomes))
"""


def test_a_child_forked_beside_a_server_opens_no_channel() -> None:
    """It may do anything else, and so may its parent, and children without a server in their parent."""
    ran = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", PROGRAM],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=HANG_GUARD,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert {"before": [0] * 4, "beside": [1, 1, 1, 0], "after": [0] * 4} == json.loads(ran.stdout)
    assert ran.stderr.splitlines().count(MESSAGE) == 3
