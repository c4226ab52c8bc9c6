"""Fetch an API key from a callable of the site's own, named by its dotted path.

An error of the callable may quote the key, and its frames have the key in local variables. So the error is
not chained. Its traceback is, as text without anything that looks like a key.
"""

from __future__ import annotations

import traceback
from importlib import import_module
from inspect import isawaitable, iscoroutinefunction
from typing import NamedTuple

from ..exceptions import CredentialError
from ..redaction import SecretStr, quote
from . import boundary
from .boundary import RedactedTraceback

_NAME_A_FUNCTION = "CREDENTIALS must be the dotted path of a function in a module that can be imported."
_RETURN_A_KEY = "It must be a function without arguments that returns a key, or a key and an endpoint."
_NAME_A_PLAIN_FUNCTION = (
    "A key is fetched on a thread: name a plain function, which may call asyncio.run() itself."
)
_SEE_TRACEBACK = (
    "The traceback is the cause of this error, as text and without anything that looks like a key."
)
BE_QUICKER = "Give the calls that it makes timeouts that are shorter together."


class _Failure(NamedTuple):
    """The reason why the key is missing.

    It is raised in a frame without the site's objects in its variables.
    """

    cause: str
    fix: str
    traceback: RedactedTraceback | None = None


def call(path: str) -> tuple[SecretStr, SecretStr | None]:
    """Call the function at a dotted path and return the key, and the endpoint or None.

    Raises CredentialError.
    """
    outcome = _call(path)
    if isinstance(outcome, _Failure):
        raise CredentialError(f"Callable {path!r} {outcome.cause}.", outcome.fix) from outcome.traceback
    return outcome


def _call(path: str) -> tuple[SecretStr, SecretStr | None] | _Failure:
    module, _, name = path.rpartition(".")
    try:
        with boundary.importing():
            function = getattr(import_module(module), name)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the import of a module may raise anything
        reason = f"cannot be imported: {type(error).__name__}: {quote(error)}"
        return _Failure(reason, _NAME_A_FUNCTION, RedactedTraceback.of(error))
    if not callable(function):
        return _Failure(f"cannot be called: it is {_describe(function)}", _RETURN_A_KEY)
    # The class's own __call__ makes its instances callable.
    if iscoroutinefunction(function) or iscoroutinefunction(type(function).__call__):
        return _Failure("is a coroutine function", _NAME_A_PLAIN_FUNCTION)
    try:
        return _read(function())
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the site's own code may raise anything
        where = traceback.extract_tb(error.__traceback__)[-1]
        reason = f"raised {type(error).__name__} in {where.filename}, line {where.lineno}"
        return _Failure(reason, _SEE_TRACEBACK, RedactedTraceback.of(error))


def _read(returned: object) -> tuple[SecretStr, SecretStr | None] | _Failure:
    match returned:
        case str() as key:
            return SecretStr(key), None
        case (str() as key, str() | None as endpoint):
            return SecretStr(key), None if endpoint is None else SecretStr(endpoint)
    if isawaitable(returned):
        if hasattr(returned, "close"):
            returned.close()  # Else Python warns that it was not awaited.
        return _Failure("returned an awaitable", _NAME_A_PLAIN_FUNCTION)
    return _Failure(f"returned {_describe(returned)}", _RETURN_A_KEY)


def _describe(value: object) -> str:
    if isinstance(value, tuple | list):
        return f"a {type(value).__name__} of {len(value)}"
    return "None" if value is None else f"something of type {type(value).__name__}"
