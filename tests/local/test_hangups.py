"""Clients that hang up are nothing to log; everything else of gRPC's is."""

from __future__ import annotations

import logging

import pytest

from django_momento.local.server import ignore_hangups

# Not gRPC's own, which a server that another test left running may be filtering too.
LOG = logging.getLogger("tests.hangups")


def test_a_hangup_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    """A client that goes as its stream is ended is no error of anybody's."""
    with ignore_hangups(LOG):
        LOG.error("ExecuteBatchError raised in core by servicer method [/cache_client.Scs/GetBatch]")
    assert caplog.records == []


def test_what_else_goes_wrong_in_grpc_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Only that one message is kept back, and only while a server serves."""
    with ignore_hangups(LOG), ignore_hangups(LOG):
        LOG.error("Unexpected [%s] raised", "KeyError")
    LOG.error("ExecuteBatchError raised in core by servicer method [/cache_client.Scs/GetBatch]")
    assert [record.getMessage()[:10] for record in caplog.records] == ["Unexpected", "ExecuteBat"]
