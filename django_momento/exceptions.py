"""The errors of this package. Foreign errors are mapped to them and chained.

    ConfigurationError          CACHES is wrong; raised when the cache is first used
    MomentoCacheError           a cache call failed
    ├── CredentialError         there is no usable API key
    │   └── AgentUnavailable    the agent of AWS cannot be reached, or is not ready
    ├── AuthenticationFailed    Momento refused the API key
    ├── NotPermitted            the API key is valid, but not for this
    ├── CacheNotFound           Momento has no cache of this name
    ├── LimitExceeded           the call exceeds a limit of the Momento account
    ├── ValueTooLarge           key and value are over Momento's item limit
    ├── InvalidArgument         Momento refused an argument
    ├── FailedPrecondition      the stored value does not allow the call
    ├── ServerError             Momento failed for a reason of its own
    └── TransportError          Momento was not reached, or did not respond
        ├── ServerUnavailable   there is no connection, or Momento cannot serve at the moment
        │   └── CircuitOpen     the call was not sent, because Momento did not respond a moment ago
        └── CallTimedOut        the call took longer than CLIENT_TIMEOUT
    LockError                   a lock was not acquired, or was acquired already
    └── LockNotOwned            the lock has ended, or belongs to another holder

Each has a ``cause`` and a ``fix``, both in sentences. ``str()`` returns the two together.
"""

from __future__ import annotations

from collections.abc import Sequence

from django.core.exceptions import ImproperlyConfigured


class _Explained(Exception):
    """An error with a cause and a fix, both in whole sentences. The fix may be empty."""

    def __init__(self, cause: str, fix: str = "") -> None:
        super().__init__(f"{cause} {fix}".rstrip())
        self.cause = cause
        self.fix = fix


class ConfigurationError(_Explained, ImproperlyConfigured):
    """``CACHES`` is wrong. The message names the alias, the setting, its value and the allowed values.

    ``category`` is ``"LOCATION"``, ``"CREDENTIALS"`` if no source of the API key or several are configured,
    ``"API key"`` if the settings hold one, and ``"settings"`` for everything else.
    """

    def __init__(self, cause: str, fix: str = "", category: str = "settings") -> None:
        super().__init__(cause, fix)
        self.category = category
        self._problems: tuple[ConfigurationError, ...] = ()

    @property
    def problems(self) -> tuple[ConfigurationError, ...]:
        """The errors that this one lists, or this one alone."""
        return self._problems or (self,)

    @classmethod
    def combine(cls, where: str, problems: Sequence[ConfigurationError]) -> ConfigurationError:
        """Return an error that lists all of ``problems``; if there is one, return that one.

        The category is that of the first.
        """
        if len(problems) == 1:
            return problems[0]
        listed = "".join(f"\n{number}. {problem}" for number, problem in enumerate(problems, 1))
        error = cls(f"{where} has {len(problems)} problems:{listed}", category=problems[0].category)
        error._problems = tuple(problems)
        return error


class MomentoCacheError(_Explained):
    """A cache call failed. This is the root of all errors of a cache in use.

    ``status`` is the name of the gRPC status of the call, or None if it was not sent.
    """

    status: str | None = None
    # Whether the call was not sent because its connections were closed before.
    is_unsent = False


class CredentialError(MomentoCacheError):
    """The configured source has no usable API key."""


class AgentUnavailable(CredentialError):
    """The AWS Workload Credentials Provider (Secrets Manager Agent) cannot be reached or is not ready.

    With AGENT_FALLBACK, Secrets Manager is asked directly instead.
    """


class AuthenticationFailed(MomentoCacheError):
    """Momento refused the API key, which is wrong, revoked, expired, or of another cell."""


class NotPermitted(MomentoCacheError):
    """The API key is valid, but has no permission for this call on this cache."""


class CacheNotFound(MomentoCacheError):
    """Momento has no cache with the name in LOCATION."""


class LimitExceeded(MomentoCacheError):
    """The call exceeds a limit of the Momento account. This package does not retry such a call.

    ``limit`` names the limit: ``"operations per second"``, ``"throughput"``, ``"request size"`` and so on.
    """

    def __init__(self, cause: str, fix: str = "", limit: str = "unknown") -> None:
        super().__init__(cause, fix)
        self.limit = limit


class ValueTooLarge(MomentoCacheError):
    """Key and value together are larger than Momento's limit of 5 MiB an item."""


class InvalidArgument(MomentoCacheError):
    """Momento refused an argument of the call."""


class FailedPrecondition(MomentoCacheError):
    """The stored value does not allow the call: for example, a text cannot be incremented."""


class ServerError(MomentoCacheError):
    """Momento failed for a reason that is neither the caller's nor the network's."""


class TransportError(MomentoCacheError):
    """Momento was not reached, or did not respond in time."""


class ServerUnavailable(TransportError):
    """There is no connection to Momento, or Momento says that it cannot serve at the moment."""


class CircuitOpen(ServerUnavailable):
    """The call was not sent, because Momento did not respond a moment ago. Probes find out when it does."""


class CallTimedOut(TransportError):
    """Momento did not respond within CLIENT_TIMEOUT. The call may or may not have taken effect."""

    # Whether it came long before CLIENT_TIMEOUT had passed, because the clock of the process was set.
    is_premature = False
    # Whether the connection was being made, for less than CONNECT_TIMEOUT.
    is_connecting = False


class LockError(_Explained):
    """A lock was not acquired, because another holder has it, or this one has it already.

    This is no failure of the cache, so IGNORE_EXCEPTIONS does not hide it.
    """


class LockNotOwned(LockError):
    """The lock that is to be extended or released has ended, or belongs to another thread or task."""


class UnreadableValue(Exception):
    """A stored value cannot be read back. Internal: the cache returns a miss and logs one warning."""
