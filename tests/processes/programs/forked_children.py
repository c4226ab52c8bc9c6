"""Children that use what their parent has used: run one of the cases below, by its name."""

import gc
import os
import sys
import threading
from typing import Any

import boto3
import django
from momento_wire_types import cacheclient_pb2 as pb

django.setup()

from django.core.cache import caches

from django_momento.cache import MomentoCache
from django_momento.client import rotation as rotation_module
from django_momento.client.registry import clients
from django_momento.credentials import boundary
from django_momento.credentials import secrets_manager as credentials
from django_momento.events import events
from django_momento.policies.flights import flights
from django_momento.policies.versions import tag_key, versions
from tests.kit.admin import command
from tests.kit.at_once import at_once
from tests.kit.children import run_in_child, start_child, wait_for_child
from tests.kit.secrets_proxy import SecretsProxy
from tests.kit.waiting import HANG_GUARD, eventually
from tests.kit.wire import Wire

ADDRESS, PREFIX = os.environ["CACHE_ADDRESS"], os.environ["CACHE_PREFIX"]
cache: Any = caches["default"]


def connections() -> None:
    cache.set("parent", "value")
    client = clients.get(cache.options.connection)
    inherited = client.current

    def use() -> None:
        assert client.current is None
        assert cache.get("parent") == "value"
        assert client.current is not inherited
        cache.set("child", "value")

    assert run_in_child(use) == 0
    assert cache.get("child") == "value"
    assert client.current is inherited


def embedded_server() -> None:
    cache = MomentoCache("embedded", {"OPTIONS": {"CREDENTIALS": "embedded"}})
    cache.set("key", "parent's")

    def use() -> None:
        assert cache.get("key") is None
        cache.set("key", "child's")
        assert cache.get("key") == "child's"

    assert run_in_child(use) == 0
    assert cache.get("key") == "parent's"


def flight() -> None:
    runs, children = [], []

    def of_the_child() -> None:
        assert len(flights) == 0
        own = cache.get_or_set("key", lambda: "of the child", wait=HANG_GUARD)
        cache.set("child", own)
        assert cache.get("child") == "of the child"

    def default() -> str:
        runs.append(threading.get_ident())
        eventually(lambda: events.counts("default").get("joined", 0) >= 2)
        children.append(run_in_child(of_the_child))
        return "of the parent"

    results = at_once(3, lambda: cache.get_or_set("key", default, wait=HANG_GUARD))

    assert children == [0]
    assert len(runs) == 1
    assert results == ["of the child"] * 3
    gc.collect()
    assert len(flights) == 0


def versions_of_tags() -> None:
    options = {"CREDENTIALS": "local", "ENDPOINT": ADDRESS, "TAG_SECONDS": 600}
    cache = MomentoCache("tests", {"KEY_PREFIX": PREFIX, "OPTIONS": options})
    cache.set("k", 1, tags=["t"])
    question = versions.get(cache.options).ask([tag_key(PREFIX, "t")], 0)
    next(question)
    # Another process writes a version, which this one does not hear of.
    request = pb._SetRequest(
        cache_key=tag_key(PREFIX, "t"), cache_body=os.urandom(8), ttl_milliseconds=60_000
    )
    Wire(ADDRESS).Set(request, cache="tests")

    def read() -> None:
        assert cache.get("k") is None

    assert run_in_child(read) == 0
    assert cache.get("k") == 1
    question.close()


def rotation() -> None:
    rotation_module.INITIAL_BACKOFF = 0.05
    boundary.FETCH_TIMEOUT = credentials.CONNECT_TIMEOUT = credentials.READ_TIMEOUT = HANG_GUARD
    secrets_manager = boto3.client("secretsmanager")
    secret_id, region = os.environ["SECRET_ID"], os.environ["AWS_DEFAULT_REGION"]
    source = {"CREDENTIALS": "secretsmanager", "SECRET_ID": secret_id, "REGION": region}
    # No call here may fail because the machine is busy.
    options = {**source, "CLIENT_TIMEOUT": HANG_GUARD}
    cache = MomentoCache("tests", {"KEY_PREFIX": PREFIX, "OPTIONS": options})
    values: list[Any] = []

    def read() -> None:
        assert cache.get("key") == "value"

    with SecretsProxy(os.environ["AWS_ENDPOINT_URL_SECRETS_MANAGER"]) as proxy:
        os.environ["AWS_ENDPOINT_URL_SECRETS_MANAGER"] = proxy.url
        cache.set("key", "value")
        proxy.arrived.clear()
        proxy.passing.clear()
        secrets_manager.put_secret_value(SecretId=secret_id, SecretString=os.environ["NEXT_SECRET"])
        command(int(os.environ["ADMIN_PORT"]), "/accept-only", "new")
        caller = threading.Thread(target=lambda: values.append(cache.get("key")))
        caller.start()
        assert proxy.arrived.wait(HANG_GUARD)
        child = start_child(read)
        proxy.passing.set()
        assert wait_for_child(child) == 0
        caller.join()
        assert (["value"], 3) == (values, proxy.asked)


if __name__ == "__main__":
    globals()[sys.argv[1]]()
