"""Publish and Subscribe: by Momento's own clients, and over the wire where more is to be seen."""

from __future__ import annotations

import asyncio
import itertools
import threading
from typing import Any

import grpc
import pytest
from grpc import StatusCode
from momento.responses import TopicPublish, TopicSubscribe, TopicSubscriptionItem
from momento_wire_types import cachepubsub_pb2 as pb
from momento_wire_types import cachepubsub_pb2_grpc, controlclient_pb2

from django_momento.local import LocalServer
from django_momento.local.services import pubsub
from django_momento.local.storage.topics import MAX_HISTORY
from tests.kit.sdk import topic_client, topic_client_async
from tests.kit.tables import table
from tests.kit.wire import HANG_GUARD, Wire, refusal, status

SUBSCRIBERS = 1000


def publish(wire: Wire, *texts: Any, topic: Any = "t") -> None:
    for text in texts:
        wire.Publish(pb._PublishRequest(cache_name="cache", topic=topic, value={"text": text}))


@pytest.fixture
def subscribe(wire: Wire) -> Any:
    """Subscribe on the bare stub; return the stream. Streams are cancelled after the test."""
    stub = cachepubsub_pb2_grpc.PubsubStub(wire.channel)
    streams = []

    def subscribe(resume_at: Any = 0, page: Any = 0, topic: Any = "t") -> Any:
        request = pb._SubscriptionRequest(
            cache_name="cache", topic=topic, resume_at_topic_sequence_number=resume_at, sequence_page=page
        )
        streams.append(stub.Subscribe(request, timeout=HANG_GUARD))
        assert next(streams[-1]).WhichOneof("kind") == "heartbeat"
        return streams[-1]

    yield subscribe
    for stream in streams:
        stream.cancel()


def messages(stream: Any, count: Any) -> Any:
    """Read so many messages, heartbeats aside: texts, and discontinuities as (last, new)."""
    read: list[Any] = []
    while len(read) < count:
        response = next(stream)
        if response.HasField("item"):
            read.append(response.item.value.text)
        elif response.HasField("discontinuity"):
            gap = response.discontinuity
            read.append((gap.last_topic_sequence, gap.new_topic_sequence))
    return read


def test_the_sdk_gets_what_is_published(server: LocalServer) -> None:
    """Text as text, bytes as bytes, numbered from 1."""
    with topic_client(server) as client:
        subscription: Any = client.subscribe("cache", "t")
        for value in ("text", b"\xff", ""):
            assert isinstance(client.publish("cache", "t", value), TopicPublish.Success)
        received = [next(subscription) for _ in range(3)]
        assert [(item.value, item.sequence_number) for item in received] == [
            ("text", 1),
            (b"\xff", 2),
            ("", 3),
        ]
        assert [type(item) for item in received[:2]] == [
            TopicSubscriptionItem.Text,
            TopicSubscriptionItem.Binary,
        ]
        assert len({item.sequence_page for item in received}) == 1
        subscription.unsubscribe()


def test_the_sdk_resumes_where_it_was_told_to(server: LocalServer) -> None:
    """Without a number with the newest message, with one from there on."""
    with topic_client(server) as client:
        for value in "abc":
            client.publish("cache", "t", value)
        newest: Any = client.subscribe("cache", "t")
        item = next(newest)
        resumed: Any = client.subscribe("cache", "t", 2, item.sequence_page)
        assert (item.value, [next(resumed).value for _ in range(2)]) == ("c", ["b", "c"])
        newest.unsubscribe()
        resumed.unsubscribe()


def test_the_sdk_cannot_use_topics_of_a_missing_cache(server: LocalServer) -> None:
    """Neither publish nor subscribe."""
    with topic_client(server) as client:
        for response in (client.publish("nowhere", "t", "v"), client.subscribe("nowhere", "t")):
            assert isinstance(response, TopicPublish.Error | TopicSubscribe.Error)
            assert response.error_code.name == "NOT_FOUND_ERROR"


def test_the_async_sdk_gets_what_is_published(server: LocalServer) -> Any:
    """The other twin of the client."""

    async def run() -> Any:
        async with topic_client_async(server) as client:
            subscription: Any = await client.subscribe("cache", "t")
            await client.publish("cache", "t", "text")
            await client.publish("cache", "t", b"\x00")
            values = [(await asyncio.wait_for(anext(subscription), HANG_GUARD)).value for _ in range(2)]
            subscription.unsubscribe()
            return values

    assert asyncio.run(run()) == ["text", b"\x00"]


def test_an_idle_subscription_gets_heartbeats(subscribe: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Again and again, and messages in between keep their numbers."""
    monkeypatch.setattr(pubsub, "HEARTBEAT_INTERVAL", 0.01)
    kinds = [response.WhichOneof("kind") for response in itertools.islice(subscribe(), 5)]
    assert kinds == ["heartbeat"] * 5


def test_a_subscription_that_missed_nothing_gets_only_what_is_new(subscribe: Any, wire: Wire) -> None:
    """Resuming after the newest message repeats none and skips none."""
    publish(wire, "1", "2")
    stream = subscribe(resume_at=3)
    publish(wire, "3")
    assert messages(stream, 1) == ["3"]


def test_what_is_no_longer_there_is_a_discontinuity(subscribe: Any, wire: Wire) -> None:
    """It names the last number known and the first that follows."""
    publish(wire, *map(str, range(1, MAX_HISTORY + 3)))
    assert messages(subscribe(resume_at=2), 2) == [(1, 3), "3"]


def test_what_never_was_is_a_discontinuity(subscribe: Any, wire: Wire) -> None:
    """A number too high, or one of another page: all there is comes instead."""
    publish(wire, "1", "2")
    assert messages(subscribe(resume_at=9), 3) == [(8, 1), "1", "2"]
    assert messages(subscribe(resume_at=1, page=7), 3) == [(0, 1), "1", "2"]


def test_topics_are_kept_apart(subscribe: Any, wire: Wire) -> None:
    """By their names, and by the caches they belong to."""
    wire.CreateCache(controlclient_pb2._CreateCacheRequest(cache_name="other"))
    stream = subscribe()
    publish(wire, "elsewhere", topic="u")
    wire.Publish(pb._PublishRequest(cache_name="other", topic="t", value={"text": "elsewhere"}))
    publish(wire, "here")
    assert messages(stream, 1) == ["here"]


def test_deleting_a_cache_ends_its_subscriptions(subscribe: Any, wire: Wire, server: LocalServer) -> None:
    """With NOT_FOUND, and one made under its name later knows nothing of them."""
    stream = subscribe()
    wire.DeleteCache(controlclient_pb2._DeleteCacheRequest(cache_name="cache"))
    with pytest.raises(grpc.RpcError) as caught:
        list(stream)
    assert (caught.value.code(), caught.value.details()) == (StatusCode.NOT_FOUND, "Cache not found: cache")
    wire.CreateCache(controlclient_pb2._CreateCacheRequest(cache_name="cache"))
    assert server.subscriptions == 0


def test_stopping_the_server_ends_subscriptions_at_once(
    subscribe: Any, server: LocalServer, caplog: pytest.LogCaptureFixture
) -> None:
    """UNAVAILABLE, which tells a client to come back; nothing is logged."""
    streams = [subscribe() for _ in range(20)]
    server.stop(grace=HANG_GUARD)
    for stream in streams:
        with pytest.raises(grpc.RpcError) as caught:
            list(stream)
        assert caught.value.code() == StatusCode.UNAVAILABLE
    assert [record for record in caplog.records if record.name != "asyncio"] == []


@table(
    ("rpc", "request_", "argument"),
    [
        ("Publish", pb._PublishRequest(topic="t", value={"text": "v"}), "cache_name"),
        ("Publish", pb._PublishRequest(cache_name="cache", value={"text": "v"}), "topic"),
        ("Publish", pb._PublishRequest(cache_name="cache", topic="t"), "value"),
        ("Subscribe", pb._SubscriptionRequest(topic="t"), "cache_name"),
        ("Subscribe", pb._SubscriptionRequest(cache_name="cache"), "topic"),
    ],
)
def test_a_bad_argument_is_named(wire: Wire, rpc: Any, request_: Any, argument: Any) -> None:
    """INVALID_ARGUMENT, and the text begins with the argument."""
    error = refusal(getattr(wire, rpc), request_)
    assert (error.code(), error.details().split()[0]) == (StatusCode.INVALID_ARGUMENT, argument)


def test_a_missing_cache_ends_a_subscription_before_it_begins(wire: Wire) -> None:
    """NOT_FOUND instead of the first heartbeat."""
    assert (
        status(wire.Subscribe, pb._SubscriptionRequest(cache_name="nowhere", topic="t"))
        == StatusCode.NOT_FOUND
    )


def run_on_one_connection(work: Any) -> Any:
    """Serve and do the work on one loop, without the checks that Python's development mode slows it by."""

    async def run() -> Any:
        server, stop, listening = LocalServer(caches=["cache"]), asyncio.Event(), asyncio.Event()
        serving = asyncio.create_task(server.serve(stop, listening.set))
        await listening.wait()
        async with grpc.aio.insecure_channel(server.address) as channel:
            await work(cachepubsub_pb2_grpc.PubsubStub(channel), server)
        await until(lambda: server.subscriptions == 0)
        stop.set()
        await serving
        return server

    return asyncio.run(run(), debug=False)


async def subscribed(stub: Any, number: Any, topic: Any = "t") -> Any:
    """Open so many streams and wait until all have begun."""
    request = pb._SubscriptionRequest(cache_name="cache", topic=topic)
    streams = [stub.Subscribe(request, timeout=120) for _ in range(number)]
    for stream in streams:
        assert (await stream.read()).HasField("heartbeat")
    return streams


async def until(condition: Any) -> None:
    for _ in range(int(HANG_GUARD * 100)):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise TimeoutError


def test_a_thousand_subscribers_of_one_connection_get_every_message_once() -> Any:
    """In order, and each the same."""
    received = []

    async def receive(stream: Any) -> Any:
        texts: list[str] = []
        while len(texts) < 3:
            response = await stream.read()
            if response.HasField("item"):
                texts.append(response.item.value.text)
        return texts

    async def work(stub: Any, server: LocalServer) -> None:
        streams = await subscribed(stub, SUBSCRIBERS)
        for text in "abc":
            await stub.Publish(pb._PublishRequest(cache_name="cache", topic="t", value={"text": text}))
        received.extend(await asyncio.gather(*map(receive, streams)))
        for stream in streams:
            stream.cancel()

    run_on_one_connection(work)
    assert received == [["a", "b", "c"]] * SUBSCRIBERS


def test_ten_thousand_subscribers_coming_and_going_leave_nothing() -> None:
    """Neither a subscription nor a topic, and no thread."""
    threads = threading.active_count()

    async def work(stub: Any, server: LocalServer) -> None:
        for part in range(20):
            for stream in await subscribed(stub, 500, topic=f"t{part % 3}"):
                stream.cancel()
        assert threading.active_count() <= threads + 2

    server = run_on_one_connection(work)
    assert (server.memory_used, server.calls["Subscribe"]) == (0, 10_000)


def test_subscribers_whose_connection_breaks_are_let_go() -> None:
    """A client that vanishes unsubscribes by that."""

    async def work(stub: Any, server: LocalServer) -> None:
        await subscribed(stub, 20)
        assert server.subscriptions == 20

    run_on_one_connection(work)
