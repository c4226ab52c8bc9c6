"""Rotations of the API key while threads and tasks call, with a real Secrets Manager and a real Momento."""

from __future__ import annotations

import gc
import json
import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from django_momento.cache import MomentoCache
from django_momento.client import client as client_module
from django_momento.client import rotation
from django_momento.client.registry import clients
from django_momento.credentials import secrets_manager
from django_momento.exceptions import AuthenticationFailed
from tests.kit import aws as fixtures
from tests.kit.agent import SecretsManagerAgent
from tests.kit.aws import REGION, SecretsManager
from tests.kit.processes import run
from tests.kit.secrets_proxy import SecretsProxy
from tests.kit.waiting import HANG_GUARD, eventually, patience
from tests.processes.load import Load
from tests.processes.momento import Momento
from tests.processes.sockets import established

# pytest finds fixtures by the names of a module.
moto_server, aws_environment = fixtures.moto_server, fixtures.aws_environment
aws, agent = fixtures.aws, fixtures.agent

SECRET_ID = "Momento_Auth_Token"
INITIAL_BACKOFF = 0.05


class Site:
    """A cache whose key is in Secrets Manager, and the Momento that the key is for."""

    def __init__(self, aws: SecretsManager, momento: Momento) -> None:
        self.momento = momento
        self._aws = aws.client()
        self._aws.create_secret(Name=SECRET_ID, SecretString=self.secret("old"))
        momento.command("/accept-only", "old")

    def cache(self, source: str = "secretsmanager", **options: Any) -> MomentoCache:
        # No call here may fail because the machine is busy.
        ours = {"CREDENTIALS": source, "SECRET_ID": SECRET_ID, "REGION": REGION, "CLIENT_TIMEOUT": HANG_GUARD}
        return MomentoCache("tests", {"OPTIONS": {**ours, **options}})

    def update_secret(self, key: str, **more: Any) -> None:
        self._aws.put_secret_value(SecretId=SECRET_ID, SecretString=self.secret(key, **more))

    def rotate(self, key: str) -> None:
        """Do as Momento's guide says: first the secret is updated, then the old key is revoked."""
        self.update_secret(key)
        self.momento.command("/accept-only", key)

    def secret(self, key: str, **more: Any) -> str:
        """Return a secret with this key."""
        return json.dumps({"apiKey": key, "endpoint": self.momento.address, **more})


@pytest.fixture(scope="module")
def momento(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Momento]:
    with Momento(tmp_path_factory.mktemp("momento")) as momento:
        yield momento


@pytest.fixture(autouse=True)
def _short_cool_down(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rotations that follow each other at once, as they never do."""
    monkeypatch.setattr(rotation, "INITIAL_BACKOFF", INITIAL_BACKOFF)


@pytest.fixture
def proxy(aws: SecretsManager, monkeypatch: pytest.MonkeyPatch) -> Iterator[SecretsProxy]:
    """Counts what boto3 asks of Secrets Manager."""
    with SecretsProxy(aws.url) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", proxy.url)
        yield proxy


@pytest.fixture
def site(aws: SecretsManager, momento: Momento) -> Site:
    return Site(aws, momento)


def key_in_use(cache: MomentoCache) -> str:
    return str(clients.get(cache.options.connection).credential.api_key)


def rest(cache: MomentoCache) -> None:
    """Wait until the fetch of the key, and the pause after it, are over."""
    client = clients.get(cache.options.connection)
    eventually(lambda: not client.is_fetching_key)
    time.sleep(INITIAL_BACKOFF)


def test_rotations_under_load_fail_no_call(site: Site, proxy: SecretsProxy, momento: Momento) -> None:
    """Each costs one GetSecretValue, however many calls find their key refused, and no connection."""
    cache = site.cache()
    with Load(cache) as load:
        connected, accepted = established(os.getpid(), momento.address), momento.connections
        assert 1 == proxy.asked
        for number in range(1, 4):
            site.rotate(f"key-{number}")
            load.recover()
            assert 1 + number == proxy.asked
            assert f"key-{number}" == key_in_use(cache)
            rest(cache)
        assert accepted == momento.connections
        # What an earlier client let go of may still have been closing when they were counted.
        assert connected >= established(os.getpid(), momento.address)
    assert ({}, []) == (load.errors, load.went_back)


def test_rotations_by_the_agent_fail_no_call(site: Site, agent: SecretsManagerAgent) -> None:
    """It caches what it was asked for: for a key that was refused it is told to look again, once."""
    cache = site.cache("agent")
    with Load(cache) as load:
        for number in range(1, 3):
            site.rotate(f"key-{number}")
            load.recover()
            assert 1 + number == len(agent.requests)
            rest(cache)
    assert ({}, []) == (load.errors, load.went_back)
    assert [None, "true", "true"] == [request.query.get("refreshNow") for request in agent.requests]


def test_a_secret_that_is_late_costs_refusals_until_it_is_there(site: Site, proxy: SecretsProxy) -> None:
    """No other errors, and no more than a few looks at the secret, ever further apart."""
    with Load(site.cache()) as load:
        site.momento.command("/accept-only", "new")
        load.go_round()
        site.update_secret("new")
        load.recover()
    assert {AuthenticationFailed} == set(load.errors)
    assert proxy.asked <= 12 < load.errors.total()


def test_a_secrets_manager_that_throttles_is_left_alone(
    site: Site, proxy: SecretsProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last key stays in use: where Momento takes it again, all is well without an answer of AWS's."""
    monkeypatch.setattr(secrets_manager, "ATTEMPTS", 1)
    with Load(site.cache()) as load:
        proxy.refusal = "ThrottlingException"
        site.momento.command("/accept-only", "new")
        load.go_round()
        site.momento.command("/accept-only", "old")
        # Calls that were refused before may still be waiting for Secrets Manager.
        load.go_round()
        asked = proxy.asked
        load.recover()
        assert asked == proxy.asked <= 12 < load.errors.total()
    assert {AuthenticationFailed} == set(load.errors)


def test_a_changed_endpoint_fails_no_call_and_leaves_no_connection(
    site: Site, proxy: SecretsProxy, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The old server answers what it was asked until it refuses the key; then all calls go to the new one."""
    # pytest keeps what is logged. The SDK logs a refused call with its error, and asyncio a slow callback
    # with its future. Both hold frames, and these the connection.
    for logger in ("momentosdk", "asyncio"):
        caplog.set_level(logging.CRITICAL, logger)
    cache, old = site.cache(), site.momento
    with Momento(tmp_path) as new, Load(cache) as load:
        site.momento = new
        site.rotate("new")
        old.command("/accept-only", "new")
        load.forget_counters()
        load.recover()
        old.command("/reset-counts")
        load.go_round()
        assert ({}, 2) == (old.calls, proxy.asked)
        for _ in patience():
            gc.collect()
            if not established(os.getpid(), old.address):
                break
        assert 0 == established(os.getpid(), old.address)
    assert {} == load.errors


def test_a_key_is_replaced_ahead_of_its_expiry(
    site: Site, proxy: SecretsProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not one call is refused: by the time that the old key expires, nobody uses it any more."""
    passed = 0.0
    for module in (client_module, rotation):
        monkeypatch.setattr(module, "wall", lambda: time.time() + passed)
    site.update_secret("old", validUntil=time.time() + 3600)
    cache = site.cache()
    with Load(cache) as load:
        site.update_secret("new", validUntil=time.time() + 86400)
        site.momento.command("/accept-only", "old new")
        load.go_round()
        assert ("old", 1) == (key_in_use(cache), proxy.asked)
        passed = 3500.0
        load.wait(lambda: key_in_use(cache) == "new")
        site.momento.command("/reset-counts")
        site.momento.command("/accept-only", "new")
        load.recover()
    assert ({}, 2) == (load.errors, proxy.asked)


def test_a_child_forked_during_a_rotation_fetches_for_itself(site: Site) -> None:
    """The thread that asks Secrets Manager for its parent is not there, and would never answer it."""
    variables = {"SECRET_ID": SECRET_ID, "AWS_DEFAULT_REGION": REGION, "NEXT_SECRET": site.secret("new")}
    momento = site.momento
    run(
        "forked_children",
        "rotation",
        address=momento.address,
        ADMIN_PORT=str(momento.admin_port),
        **variables,
    )
