"""The topic calls: publish, and subscribe as a stream that lasts until either side ends it.

Each method handles the RPC of ``cache_client.pubsub.Pubsub`` with its name. It takes the request and returns
the response, or an async generator of responses.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator

from momento_wire_types import cachepubsub_pb2 as pb
from momento_wire_types import common_pb2

from ..errors import InvalidArgument
from ..storage.store import Cache, Store
from ..storage.topics import Message, Subscription
from ..validation import require_cache_name

# Seconds. If clients receive nothing for more than one second, they take the stream for dead.
HEARTBEAT_INTERVAL = 0.8


class Pubsub:
    def __init__(self, store: Store) -> None:
        self._store = store

    def publish(self, request: pb._PublishRequest) -> common_pb2._Empty:
        cache, topic = self._cache(request.cache_name), _require_topic(request.topic)
        if request.value.WhichOneof("kind") is None:
            raise InvalidArgument("value must be set: text or binary")
        cache.topics.publish(topic, request.value, request.value.ByteSize())
        return common_pb2._Empty()

    def subscribe(self, request: pb._SubscriptionRequest) -> AsyncGenerator[pb._SubscriptionItem, None]:
        # The cache is looked up now, so that the call ends before a stream begins if the cache is missing.
        return _stream(self._cache(request.cache_name), _require_topic(request.topic), request)

    def _cache(self, name: str) -> Cache:
        return self._store.cache(require_cache_name(name, "cache_name"))


async def _stream(
    cache: Cache, topic: str, request: pb._SubscriptionRequest
) -> AsyncGenerator[pb._SubscriptionItem, None]:
    resume_at, page = request.resume_at_topic_sequence_number, request.sequence_page
    with cache.topics.subscribe(topic, resume_at, page) as subscription:
        # Clients take a subscription for established when the first heartbeat arrives.
        yield _heartbeat()
        last = subscription.follows
        while True:
            await subscription.wait(HEARTBEAT_INTERVAL)
            if subscription.end_reason is not None:
                # One exception ends many streams. It must not collect their tracebacks.
                raise subscription.end_reason.with_traceback(None)
            message = subscription.take()
            if message is None:
                yield _heartbeat()
                continue
            if message.number != last + 1:
                yield _discontinuity(last, message.number, subscription.page)
            yield _item(message, subscription)
            last = message.number


def _require_topic(name: str) -> str:
    if not name:
        raise InvalidArgument("topic must not be empty: it names the topic")
    return name


def _heartbeat() -> pb._SubscriptionItem:
    return pb._SubscriptionItem(heartbeat={})


def _discontinuity(last: int, new: int, page: int) -> pb._SubscriptionItem:
    """Report that messages are missing between two numbers. If the first number is unknown, it is 0."""
    return pb._SubscriptionItem(
        discontinuity={
            "last_topic_sequence": max(last, 0),
            "new_topic_sequence": new,
            "new_sequence_page": page,
        }
    )


def _item(message: Message, subscription: Subscription) -> pb._SubscriptionItem:
    return pb._SubscriptionItem(
        item={
            "topic_sequence_number": message.number,
            "value": message.value,
            "sequence_page": subscription.page,
        }
    )
