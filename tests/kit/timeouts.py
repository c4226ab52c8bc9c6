"""Short timeouts for the calls that are to time out, and for no other.

A call that is to succeed needs a long timeout, because a busy machine may stand still for a second.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from django_momento.client import channel, deadlines, discarded, recovery
from django_momento.client import transport as transport_module
from django_momento.client.client import Client
from django_momento.client.transport import Transport
from django_momento.conf.options import ConnectionOptions
from tests.kit.waiting import HANG_GUARD, eventually


@contextmanager
def short_timeouts(client: Client, seconds: float) -> Iterator[None]:
    """Let the calls of a client that is connected time out after so many seconds, while a block runs."""
    transport, timeout_for_grpc = client.transport, deadlines.timeout_for_grpc
    # The SDK has no public name for its own.
    sdk = transport.cache_client._data_client  # noqa: SLF001 - see above
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(transport, "timeout", seconds)
        patch.setattr(sdk, "_default_deadline_seconds", seconds)
        patch.setattr(channel, "timeout_for_grpc", lambda usual: timeout_for_grpc(min(usual, seconds)))
        yield


@contextmanager
def impatient_transports(seconds: float) -> Iterator[None]:
    """Let calls time out after so many seconds, over each transport that is made while a block runs."""
    begin = Transport.__init__

    def begin_impatiently(ours: Transport, credential: Any, options: ConnectionOptions, *more: Any) -> None:
        begin(ours, credential, replace(options, client_timeout=seconds), *more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Transport, "__init__", begin_impatiently)
        yield


@contextmanager
def patient_probes() -> Iterator[None]:
    """Let the probes that are sent while a block runs take as long as they need."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(transport_module, "PROBE_TIMEOUT", HANG_GUARD)
        patch.setattr(recovery, "MAX_PROBE_TIME", HANG_GUARD)
        yield


def close_discarded_soon(patch: pytest.MonkeyPatch) -> None:
    """Let channels that are discarded close after three seconds, not after the timeout of their client.

    No call over them may take longer.
    """
    discard = discarded.discard
    patch.setattr(discarded, "discard", lambda channel, timeout: discard(channel, min(timeout, 1.0)))


def wait_for_probes() -> None:
    """Wait until the probes that are sent in the background have ended."""
    eventually(lambda: all(thread.name != "momento-probe" for thread in threading.enumerate()))
