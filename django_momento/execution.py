"""Run the operations of a cache on its client, make their events, and apply the failure policy."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from asgiref.sync import sync_to_async
from django.core.exceptions import SynchronousOnlyOperation
from django.utils.functional import cached_property

from .client.calls import Operation, Recount
from .client.client import Client
from .client.metering import Tally
from .client.registry import clients
from .codec.attributes import Attributed, Attributes
from .conf.options import FROM_THE_SECRET
from .events import observers
from .exceptions import MomentoCacheError, ValueTooLarge
from .items import MISSING, ItemCache, Key, Value
from .policies.observing import Observed
from .redaction import SecretStr

if TYPE_CHECKING:
    from .policies.near import Reader
    from .policies.prefixes import Generation
    from .policies.tags import Tags

T = TypeVar("T")
Store = Callable[..., Operation[T]]
Encode = Callable[..., tuple[Any, ...]]
# The beginnings of the keys of sessions that are in the database as well, and of ``{% cache %}``.
_COPIES = ("django.contrib.sessions.cached_db", "template.cache.")


class OperationCache(ItemCache):
    """A cache that runs operations with the client of the process."""

    @cached_property
    def _client(self) -> Client:
        client = clients.get(self.options.connection)
        if self.options.near_seconds or self.options.stale_if_error:
            from .policies.near import nears

            nears.attach(client, self.options)
        return client if self._generation is None else self._generation.wrap(client)

    @cached_property
    def _near(self) -> Reader:
        """The short way to the values in memory, if there is a memory beside the client."""
        reader: Reader = self._client.memory.reader(self.options, self._codec, self._generation)
        return reader

    @cached_property
    def _generation(self) -> Generation | None:
        """The generation in the keys of this alias, or None without ``CLEAR="prefix"``."""
        if self.options.clear != "prefix":
            return None
        from .policies.prefixes import Generation

        return Generation(self.options, lambda: self.key_prefix)

    @property
    def _tags(self) -> Tags:
        from .policies.tags import Tags

        return Tags(self.options, self.key_prefix)

    def _check_tags(self, tags: object) -> tuple[str, ...]:
        """Return the tags that a caller gave for a value. Raises TypeError and ValueError."""
        from .policies.tags import check_tags

        return check_tags(tags, self.validate_key)

    def _resolve_tags(self, key: bytes, stored: Attributed, default: Value) -> Operation[Value]:
        """Return a value with tags, or ``default`` if one of them was invalidated since."""
        (is_current,) = yield from self._tags.find_current([stored.attributes.tags])
        if is_current:
            return stored.value
        self._note_outdated(key)
        self._discard_from_memory([key])
        yield Recount(1)
        return default

    def _resolve_all_tags(self, values: dict[bytes, Value]) -> Operation[dict[bytes, Value]]:
        """Return the values that are not forgotten, with at most one more call for all tags."""
        tagged = {key: value for key, value in values.items() if type(value) is Attributed}
        if not tagged:
            return values
        are_current = yield from self._tags.find_current(each.attributes.tags for each in tagged.values())
        values = {**values}
        for (key, stored), is_current in zip(tagged.items(), are_current, strict=True):
            values[key] = stored.value if is_current else MISSING
        if forgotten := [key for key in tagged if values[key] is MISSING]:
            self._discard_from_memory(forgotten)
            yield Recount(len(forgotten))
        return values

    def _discard_from_memory(self, keys: Iterable[bytes]) -> None:
        """Have Momento asked for values that this process keeps: another process may have stored new ones."""
        memory = self._client.memory
        prefix = b"" if self._generation is None else self._generation.recall()
        if memory is not None and prefix is not None:
            memory.discard(self.options.cache_name, [prefix + key for key in keys])

    def _get_encryption_keys(self) -> tuple[SecretStr | None, str]:
        credential = self._client.get_credential()
        return credential.encryption_keys, credential.source

    def _run(self, verb: str, keys: Collection[object], operation: Operation[T], fallback: T) -> T:
        try:
            client = self._client
            if observers or self.options.observers:
                with Observed(self.options, verb, keys) as tally:
                    client, operation = self._route(verb, operation, tally)
                    return client.run(self.options.cache_name, operation, tally)
            if client.memory is not None:
                client, operation = self._route(verb, operation, None)
            return client.run(self.options.cache_name, operation)
        except MomentoCacheError as error:
            return self._handle_failure(error, fallback)

    def _run_loudly(self, verb: str, keys: Collection[object], operation: Operation[T]) -> T:
        """Run an operation whose caller handles its failures. Raises MomentoCacheError."""
        with self._observe(verb, keys) as tally:
            client, operation = self._route(verb, operation, tally)
            return client.run(self.options.cache_name, operation, tally)

    async def _arun_loudly(self, verb: str, keys: Collection[object], operation: Operation[T]) -> T:
        """See _run_loudly()."""
        with self._observe(verb, keys) as tally:
            client, operation = self._route(verb, operation, tally)
            return await client.arun(self.options.cache_name, operation, tally)

    async def _arun(self, verb: str, keys: Collection[object], operation: Operation[T], fallback: T) -> T:
        try:
            client = self._client
            if observers or self.options.observers:
                with Observed(self.options, verb, keys) as tally:
                    client, operation = self._route(verb, operation, tally)
                    return await client.arun(self.options.cache_name, operation, tally)
            if client.memory is not None:
                client, operation = self._route(verb, operation, None)
            return await client.arun(self.options.cache_name, operation)
        except MomentoCacheError as error:
            return self._handle_failure(error, fallback)

    def _store(
        self,
        verb: str,
        keys: Collection[object],
        store: Store[T],
        encode: Encode,
        fallback: T,
        tags: object = (),
        *,
        ask_again: bool = False,
    ) -> T:
        """Encode values and run the operation that stores them.

        With tags, the versions of the tags are read first, and ``encode`` gets them as an argument. If
        ``ask_again``, Momento is asked for versions that this process knows, because they may be outdated.
        """
        checked = self._check_tags(tags) if tags != () else ()
        try:
            if not (checked or observers or self.options.observers):
                client, operation = self._client, store(*encode())
                if client.memory is not None:
                    client, operation = self._route(verb, operation, None)
                return client.run(self.options.cache_name, operation)
            with self._observe(verb, keys) as tally:
                if checked:
                    client, reading = self._route("snapshot", self._tags.snapshot(checked, ask_again), tally)
                    versions = client.run(self.options.cache_name, reading, tally)
                    encode = partial(encode, Attributes(tags=versions))
                client, operation = self._route(verb, store(*encode()), tally)
                return client.run(self.options.cache_name, operation, tally)
        except MomentoCacheError as error:
            return self._handle_failure(error, fallback)

    async def _astore(
        self,
        verb: str,
        keys: Collection[object],
        store: Store[T],
        encode: Encode,
        fallback: T,
        tags: object = (),
        *,
        ask_again: bool = False,
    ) -> T:
        """See _store(). If values must not be evaluated in an event loop, encode them in a thread."""
        checked = self._check_tags(tags) if tags != () else ()
        try:
            with self._observe(verb, keys) as tally:
                if checked:
                    client, reading = self._route("snapshot", self._tags.snapshot(checked, ask_again), tally)
                    versions = await client.arun(self.options.cache_name, reading, tally)
                    encode = partial(encode, Attributes(tags=versions))
                if self.options.encryption_key == FROM_THE_SECRET and self._client.credential is None:
                    # encode() needs the encryption keys, and must not wait for them in the event loop.
                    await self._client.aget_credential()
                try:
                    encoded = encode()
                except SynchronousOnlyOperation:  # as pickling a queryset raises
                    encoded = await sync_to_async(encode)()
                client, operation = self._route(verb, store(*encoded), tally)
                return await client.arun(self.options.cache_name, operation, tally)
        except MomentoCacheError as error:
            return self._handle_failure(error, fallback)

    def _route(self, verb: str, operation: Operation[T], tally: Tally | None) -> tuple[Client, Operation[T]]:
        """Return the client that is to run an operation, and the operation.

        If there is a memory beside the client, it looks at each call as Momento would see it.
        """
        client = self._client
        memory = client.memory
        if memory is None:
            return client, operation
        if self._generation is not None:
            operation = self._generation.enter(operation)
        return memory.client, memory.intercept(self.options, verb, operation, tally)

    def _detach_flights(self, keys: Collection[bytes] | None) -> None:
        """Let no later get_or_set() take a value that was computed before its key is deleted now.

        If nobody has called get_or_set() yet, the policy is not loaded and there is nothing to do.
        """
        policy = sys.modules.get("django_momento.policies.flights")
        if policy is not None:
            policy.detach_flights(self, keys)

    def _handle_failure(self, error: MomentoCacheError, fallback: T) -> T:
        """Raise the error, or return the fallback if the cache fails open. All failures pass through here."""
        if not self.options.ignore_exceptions:
            raise error
        self._record_ignored(error)
        return fallback

    def _record_copy_or_raise(self, error: ValueTooLarge, key: Key, value: Value) -> None:
        """Raise the error, unless Django stores a mere copy here and would not catch the error."""
        from django.http.response import HttpResponseBase

        if not (isinstance(value, HttpResponseBase) or str(key).startswith(_COPIES)):
            raise error
        self._record_ignored(error)
