"""All connections with one key: which of them another link goes on with."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator

import pytest

from django_momento.client.calls import FlushCache, Get, KeysExist
from django_momento.client.transport import FAILURES, Link
from django_momento.conf.options import ConnectionOptions
from django_momento.credentials.credential import Credential
from django_momento.exceptions import ServerError
from django_momento.local import LocalServer
from django_momento.redaction import SecretStr
from tests.kit.admin import command
from tests.kit.waiting import patience
from tests.processes.sockets import established


@pytest.fixture
def server() -> Iterator[LocalServer]:
    with LocalServer(caches=["tests"], api_keys=["old"], admin_port=0) as server:
        yield server


def credential(server: LocalServer, key: str) -> Credential:
    return Credential(SecretStr(key), "opaque", "the test", "127.0.0.1", "127.0.0.1", server.port)


@pytest.fixture
def link(server: LocalServer) -> Link:
    return Link(credential(server, "old"), ConnectionOptions("local", client_timeout=60))


def use(link: Link) -> None:
    """Make a call by each of its three ways."""
    assert link.ask("tests", Get(b"k")) is None
    assert link.ask("tests", KeysExist((b"k",))) == [False]
    call = FlushCache("tests")
    link.settled(call, link.start("tests", call))


def accepted(server: LocalServer) -> int:
    return int(command(server.admin_port, "/connections")["accepted"])


def test_nothing_is_connected_before_the_first_call(server: LocalServer, link: Link) -> None:
    """Making a link costs no more than its objects."""
    assert 0 == accepted(server)


def test_a_rekeyed_link_goes_on_over_the_same_connections(server: LocalServer, link: Link) -> None:
    """A new key costs no new connection; the old link works on until its calls have ended."""
    use(link)
    before = accepted(server)
    server.accept_only("old", "new")
    fresh = link.rekeyed(credential(server, "new"))
    fresh.introduce("tests")
    use(fresh)
    use(link)
    assert before == accepted(server)
    assert (fresh._sdk.generation, fresh._cache) == (link._sdk.generation, link._cache)


def test_a_rekeyed_link_uses_its_own_key(server: LocalServer, link: Link) -> None:
    """Though the connections are the same."""
    use(link)
    server.accept_only("new")
    fresh = link.rekeyed(credential(server, "new"))
    use(fresh)
    for call in (Get(b"k"), KeysExist((b"k",))):
        with pytest.raises(FAILURES):
            link.ask("tests", call)


def test_a_renewed_link_makes_connections_of_its_own(server: LocalServer, link: Link) -> None:
    """The old may be dead; they close when the old link is let go of."""
    use(link)
    before = accepted(server)
    fresh = link.renewed()
    use(fresh)
    assert 2 * before == accepted(server)
    assert fresh.credential is link.credential
    fresh.close()
    use(link)


def test_a_link_that_is_let_go_of_is_disconnected(server: LocalServer, link: Link) -> None:
    """At once: not some time later, when garbage is collected."""
    use(link)
    of_one_link = established(os.getpid(), server.address)
    gc.disable()
    try:
        renewed = link.renewed()
        use(renewed)
        assert 2 * of_one_link == established(os.getpid(), server.address)
        del renewed
        for _ in patience():
            if established(os.getpid(), server.address) == of_one_link:
                return
        pytest.fail("its connections are still there")
    finally:
        gc.enable()


def test_a_closed_link_refuses_calls(server: LocalServer, link: Link) -> None:
    """On each of its ways."""
    use(link)
    link.close()
    for call in (Get(b"k"), KeysExist((b"k",)), FlushCache("tests")):
        with pytest.raises(ServerError, match="closed"):
            link.ask("tests", call)
