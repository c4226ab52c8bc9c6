"""The environment of tests, as each conftest prepares it."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time

import pytest

from django_momento.client.registry import clients
from tests.conftest import MakeCache
from tests.kit.output import VARIABLES
from tests.kit.waiting import eventually

pytest_plugins = ["pytester"]


def test_variables_of_ci_and_of_terminals_reach_no_test(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are back after the last test, for the summary of pytest itself."""
    for name in VARIABLES:
        monkeypatch.setenv(name, "80")
    pytester.makeconftest("from tests.kit.output import same_output_everywhere")
    pytester.makepyfile(
        """
        import os
        from tests.kit.output import VARIABLES

        def test_none_is_there():
            assert not {*VARIABLES} & {*os.environ}
        """
    )
    pytester.runpytest_inprocess("-p", "no:randomly", "-p", "no:django").assert_outcomes(passed=1)
    assert {"80"} == {os.environ[name] for name in VARIABLES}


def test_a_callback_that_takes_long_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    """On a busy machine any does, and tests compare all records. The other records of asyncio are there."""

    async def hold_the_loop() -> None:
        loop = asyncio.get_running_loop()
        loop.call_soon(time.sleep, 2 * loop.slow_callback_duration)
        loop.call_soon(logging.getLogger("asyncio").warning, "something else")
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    asyncio.run(hold_the_loop(), debug=True)
    assert [record.getMessage() for record in caplog.records if record.levelno > logging.DEBUG] == [
        "something else"
    ]


def test_the_end_of_a_connection_of_another_test_is_not_logged(
    caplog: pytest.LogCaptureFixture, make_cache: MakeCache
) -> None:
    """A thread closes it, and any test may have begun by then. The other records of the SDK are there."""
    caplog.set_level(logging.DEBUG)
    make_cache().set("key", "value")
    clients.close()
    eventually(lambda: "momento-close" not in {each.name for each in threading.enumerate()})
    texts = [record.getMessage() for record in caplog.records if record.name == "momentosdk"]
    assert texts
    assert not [text for text in texts if "gRPC channel" in text]
