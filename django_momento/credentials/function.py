"""An API key from a callable of the site's own, named by its dotted path.

What it raises may have the key in its words, and the frames it was raised in have the key in local variables.
So its own error is not chained, but told again: its traceback as text, without what looks like a key.
"""

from __future__ import annotations

import traceback
from importlib import import_module
from inspect import isawaitable, iscoroutinefunction
from typing import NamedTuple

from django_momento.exceptions import CredentialError
from django_momento.redaction import SecretStr, redact

_BE_A_FUNCTION = "CREDENTIALS must be the dotted path of a function in a module that can be imported."
_ANSWER_A_KEY = "It must be a function without arguments that answers a key, or a key and an endpoint."
_BE_PLAIN = "A key is fetched on a thread: name a plain function, which may call asyncio.run() itself."
_SEE_TRACEBACK = "Its traceback is this error's cause, in words and without what looks like a key."


class RaisedByCallable(Exception):
    """The traceback of what a callable raised, as text: no local variables, nothing that looks like a key."""


class _Failure(NamedTuple):
    """Why there is no key, to be raised where no frame has anything of the site's in its local variables."""

    cause: str
    fix: str
    told: RaisedByCallable | None = None


def call(path: str) -> tuple[SecretStr, SecretStr | None]:
    """Call what a dotted path names; answer the key, and the endpoint if there is one.

    Raises CredentialError.
    """
    outcome = _outcome(path)
    if isinstance(outcome, _Failure):
        raise CredentialError(f"Callable {path!r} {outcome.cause}.", outcome.fix) from outcome.told
    return outcome


def _outcome(path: str) -> tuple[SecretStr, SecretStr | None] | _Failure:
    module, _, name = path.rpartition(".")
    try:
        function = getattr(import_module(module), name)
    except Exception as error:  # noqa: BLE001 - a module may raise anything while it is imported
        reason = f"cannot be imported: {type(error).__name__}: {redact(str(error))}"
        return _Failure(reason, _BE_A_FUNCTION, _told(error))
    if not callable(function):
        return _Failure(f"cannot be called: it is {_kind(function)}", _ANSWER_A_KEY)
    # What makes the instances of a class callable is the class's own __call__.
    if iscoroutinefunction(function) or iscoroutinefunction(type(function).__call__):
        return _Failure("is a coroutine function", _BE_PLAIN)
    try:
        return _taken(function())
    except Exception as error:  # noqa: BLE001 - the site's own code may raise anything
        where = traceback.extract_tb(error.__traceback__)[-1]
        reason = f"raised {type(error).__name__} in {where.filename}, line {where.lineno}"
        return _Failure(reason, _SEE_TRACEBACK, _told(error))


def _taken(answer: object) -> tuple[SecretStr, SecretStr | None] | _Failure:
    match answer:
        case str() as key:
            return SecretStr(key), None
        case (str() as key, str() | None as endpoint):
            return SecretStr(key), None if endpoint is None else SecretStr(endpoint)
    if isawaitable(answer):
        if hasattr(answer, "close"):
            answer.close()  # Else Python warns that nobody awaited it.
        return _Failure("answered something to await", _BE_PLAIN)
    return _Failure(f"answered {_kind(answer)}", _ANSWER_A_KEY)


def _kind(value: object) -> str:
    if isinstance(value, tuple | list):
        return f"a {type(value).__name__} of {len(value)}"
    return "None" if value is None else f"something of type {type(value).__name__}"


def _told(error: Exception) -> RaisedByCallable:
    return RaisedByCallable(redact("".join(traceback.format_exception(error)).rstrip()))
