"""Every error this package raises; foreign errors are mapped to these and chained.

    ConfigurationError          CACHES is wrong; raised when the cache is first used
    MomentoCacheError           a cache call could not be answered
    ├── CredentialError         no usable API key could be had
    │   └── AgentUnavailable
    ├── AuthenticationFailed    Momento refused the API key
    ├── NotPermitted            the API key is valid, but not for this
    ├── CacheNotFound           Momento has no cache of this name
    ├── LimitExceeded           a limit of the Momento account was hit
    ├── ValueTooLarge           key and value are over Momento's item limit
    ├── InvalidArgument         Momento refused an argument
    ├── FailedPrecondition      the stored value does not allow the call
    ├── ServerError             Momento failed in a way it does not explain
    └── TransportError          Momento could not be asked, or did not answer
        ├── ServerUnavailable
        │   └── CircuitOpen
        └── CallTimedOut

Each says what happened (``cause``) and what to do about it (``fix``); ``str()`` gives both.
"""

from __future__ import annotations

from collections.abc import Sequence

from django.core.exceptions import ImproperlyConfigured


class _Explained(Exception):
    """An error with a cause and a fix, both whole sentences; ``fix`` may be empty."""

    def __init__(self, cause: str, fix: str = "") -> None:
        super().__init__(f"{cause} {fix}".rstrip())
        self.cause = cause
        self.fix = fix


class ConfigurationError(_Explained, ImproperlyConfigured):
    """``CACHES`` is wrong: the message names the alias, the setting, what was given and what is allowed.

    ``category`` says what: ``"LOCATION"``, ``"CREDENTIALS"`` where none or several sources of the API key are
    configured, ``"API key"`` where one stands in the settings itself, or ``"settings"`` for everything else.
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
    """A cache call could not be answered. The root of all errors met while a cache is in use.

    ``status`` is the name of the gRPC status that the call ended with, if it was sent.
    """

    status: str | None = None


class CredentialError(MomentoCacheError):
    """No usable API key could be had from where the configuration says it is."""


class AgentUnavailable(CredentialError):
    """The Secrets Manager Agent cannot be reached, or is not ready yet. AGENT_FALLBACK is for this error."""


class AuthenticationFailed(MomentoCacheError):
    """Momento refused the API key: wrong, revoked, expired, or of another cell."""


class NotPermitted(MomentoCacheError):
    """The API key is valid, but its permissions do not cover this call on this cache."""


class CacheNotFound(MomentoCacheError):
    """Momento has no cache of the name in LOCATION."""


class LimitExceeded(MomentoCacheError):
    """A limit of the Momento account was hit. Such a call is never repeated by this package.

    ``limit`` names it: ``"operations per second"``, ``"throughput"``, ``"request size"`` and so on.
    """

    def __init__(self, cause: str, fix: str = "", limit: str = "unknown") -> None:
        super().__init__(cause, fix)
        self.limit = limit


class ValueTooLarge(MomentoCacheError):
    """Key and value together are over Momento's limit of 5 MiB an item."""


class InvalidArgument(MomentoCacheError):
    """Momento refused an argument of the call."""


class FailedPrecondition(MomentoCacheError):
    """What is stored does not allow the call, such as incrementing a value that is not an integer."""


class ServerError(MomentoCacheError):
    """Momento answered with a failure that is neither the caller's nor the network's."""


class TransportError(MomentoCacheError):
    """Momento could not be asked, or did not answer in time."""


class ServerUnavailable(TransportError):
    """No connection to Momento, or Momento says that it cannot serve at the moment."""


class CircuitOpen(ServerUnavailable):
    """Not sent, because Momento did not answer a moment ago; a probe finds out when it does again."""


class CallTimedOut(TransportError):
    """No answer within the client timeout. The call may or may not have taken effect."""


class UnreadableValue(Exception):
    """A stored value cannot be read back. Internal: the cache turns it into a miss and one warning."""
