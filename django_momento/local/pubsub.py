"""The topic calls: publish, and subscribe as a stream that lasts until either side ends it.

One method per RPC of ``cache_client.pubsub.Pubsub``, which gets the request and returns the response, or
an async generator of responses. Who gets which message is decided in ``topics``, never here.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator

from momento_wire_types import cachepubsub_pb2 as pb
from momento_wire_types import common_pb2

from django_momento.local.arguments import require_cache_name
from django_momento.local.errors import InvalidArgument
from django_momento.local.store import Cache, Store
from django_momento.local.topics import Message, Subscription

# Seconds; clients that see nothing for more than one take the stream for dead.
HEARTBEAT_INTERVAL = 0.8


class Pubsub:
    def __init__(self, store: Store) -> None:
        self._store = store

    def publish(self, request: pb._PublishRequest) -> common_pb2._Empty:
        cache, topic = self._cache(request.cache_name), require_topic(request.topic)
        if request.value.WhichOneof("kind") is None:
            raise InvalidArgument("value must be set: text or binary")
        cache.topics.publish(topic, request.value, request.value.ByteSize())
        return common_pb2._Empty()

    def subscribe(self, request: pb._SubscriptionRequest) -> AsyncGenerator[pb._SubscriptionItem, None]:
        # The cache is looked up now: if it is missing, the call ends before there is a stream.
        return stream(self._cache(request.cache_name), require_topic(request.topic), request)

    def _cache(self, name: str) -> Cache:
        return self._store.cache(require_cache_name(name, "cache_name"))


async def stream(
    cache: Cache, topic: str, request: pb._SubscriptionRequest
) -> AsyncGenerator[pb._SubscriptionItem, None]:
    resume_at, page = request.resume_at_topic_sequence_number, request.sequence_page
    with cache.topics.subscribed(topic, resume_at, page) as subscription:
        # Clients take a subscription for established, and its errors for none, with the first heartbeat.
        yield heartbeat()
        last = subscription.follows
        while True:
            await subscription.wait(HEARTBEAT_INTERVAL)
            if subscription.ended is not None:
                # One reason ends many streams, whose tracebacks it must not gather.
                raise subscription.ended.with_traceback(None)
            message = subscription.take()
            if message is None:
                yield heartbeat()
                continue
            if message.number != last + 1:
                yield discontinuity(last, message.number, subscription.page)
            yield item(message, subscription)
            last = message.number


def require_topic(name: str) -> str:
    if not name:
        raise InvalidArgument("topic must not be empty: it names the topic")
    return name


def heartbeat() -> pb._SubscriptionItem:
    return pb._SubscriptionItem(heartbeat={})


def discontinuity(last: int, new: int, page: int) -> pb._SubscriptionItem:
    """Say that messages are missing between two numbers; what is not known of the first reads 0."""
    return pb._SubscriptionItem(
        discontinuity={
            "last_topic_sequence": max(last, 0),
            "new_topic_sequence": new,
            "new_sequence_page": page,
        }
    )


def item(message: Message, subscription: Subscription) -> pb._SubscriptionItem:
    return pb._SubscriptionItem(
        item={
            "topic_sequence_number": message.number,
            "value": message.value,
            "sequence_page": subscription.page,
        }
    )
