"""Django cache backend for Momento, the serverless cache.

The backend is ``django_momento.cache.MomentoCache``. Most sites import nothing of this package. The functions
here give access to Momento's SDK and to the connections of the process. Importing the package imports neither
the SDK, gRPC nor boto3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from momento import CacheClient, CredentialProvider

    from .client.client import Client

__version__ = "0.1.0"


def sdk_client(alias: str = "default") -> CacheClient:
    """Return the SDK's client that an alias of CACHES uses, with the API key in use.

    It gives access to calls that Django's API lacks, such as those for dictionaries and sorted sets. Ask for
    it before each use and do not close it. It is replaced after a rotation of the key, after an outage and
    when it was idle for minutes. The replaced client closes once its calls have ended. No call is retried.

    Blocks while the API key is fetched for the first time. Raises CredentialError if that fails, and
    ConfigurationError if the alias is not a Momento cache.
    """
    client, cache_name = _client_of(alias)
    return client.get_cache_client(cache_name)


def credential_provider(alias: str = "default") -> CredentialProvider:
    """Return the SDK's provider of the API key that an alias of CACHES uses, for a client of your own.

    A ``TopicClient`` or ``CacheClientAsync`` made with it keeps that key: make another one after a rotation.
    Blocks and raises as sdk_client() does.
    """
    client, cache_name = _client_of(alias)
    return client.get_credential_provider(cache_name)


def close_connections() -> None:
    """Close every connection of this process to Momento, and return when they and gRPC's threads are gone.

    Calls in flight may end first. The next cache call connects again. Call this before a program closes all
    descriptors, as a daemon does when it starts: gRPC hangs if its own are closed.
    """
    from .client.native_threads import wait_until_grpc_ends
    from .client.registry import clients

    clients.close(wait=True)
    wait_until_grpc_ends()


def _client_of(alias: str) -> tuple[Client, str]:
    """Return the client of an alias, and the name of its Momento cache. Raises ConfigurationError."""
    from django.core.cache import caches

    from .cache import MomentoCache
    from .client.registry import clients
    from .exceptions import ConfigurationError

    cache = caches[alias]
    if not isinstance(cache, MomentoCache):
        raise ConfigurationError(
            f"CACHES[{alias!r}] uses {type(cache).__name__}, which is not a Momento cache.",
            "Name an alias whose BACKEND is 'django_momento.cache.MomentoCache'.",
        )
    return clients.get(cache.options.connection), cache.options.cache_name
