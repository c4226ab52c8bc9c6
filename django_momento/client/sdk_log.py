"""The warnings that Momento's SDK writes for failed calls: at most one in ten seconds.

The SDK writes one warning to the logger ``momentosdk`` for each failed call, and then turns every exception
into an error response, even the exception of a signal's handler. The logger's methods run while the SDK
handles the exception. ``install`` replaces them on that logger, so that an exception that is neither gRPC's
nor the SDK's own leaves the SDK as it is. The lines quote the server: keys in them are masked, and control
characters are escaped. Calls that other code makes with the SDK are logged as before.

The control calls of the SDK log nothing. The error that they make of an exception gets it as its cause.

gRPC does the same while it serializes a message: it logs every exception, and ends the call with a status.
The exception is noted then, to be the cause of the error of the call, and its line is throttled alike.

Set the level of the logger ``momentosdk`` to DEBUG, or to a lower one, to have a line for each failed call.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from typing import Any

from ..clock import monotonic
from ..interruption import is_foreign, raise_foreign
from ..redaction import quote
from .decoding import note
from .errors import TRANSPORT_ERRORS

LOGGER = logging.getLogger("momentosdk")
GRPC_LOGGER = logging.getLogger("grpc._common")

# Seconds between two warnings about failed calls.
MIN_INTERVAL = 10.0

# Frames between a method of the logger and this package: the SDK's client, and the client below it.
_MAX_DEPTH = 8

# The same for gRPC, whose interceptors lie between.
_MAX_GRPC_DEPTH = 24


class Throttle:
    """Count the warnings that were left out, and say when the next one is due."""

    def __init__(self) -> None:
        self._next_at = 0.0
        self._left_out = 0

    def take(self) -> int | None:
        """Return how many warnings were left out since the last one, or None if none is due yet."""
        now = monotonic()
        if now < self._next_at:
            self._left_out += 1
            return None
        # Set before the warning is written: a log handler that uses the cache may fail in turn.
        self._next_at = now + MIN_INTERVAL
        left_out, self._left_out = self._left_out, 0
        return left_out


throttle = Throttle()
grpc_throttle = Throttle()


def install() -> None:
    """Replace the methods that the SDK calls for a failed call. Calling it twice does no harm."""
    if "warning" in vars(LOGGER):
        return
    vars(LOGGER)["warning"] = _replacement(LOGGER.warning, is_throttled=True)
    vars(LOGGER)["debug"] = _replacement(LOGGER.debug, is_throttled=False)
    vars(GRPC_LOGGER)["exception"] = _grpc_replacement(GRPC_LOGGER.exception)


def _replacement(write: Callable[..., None], *, is_throttled: bool) -> Callable[..., None]:
    def log(message: object, *args: Any, **options: Any) -> None:
        error = sys.exc_info()[1]
        if error is not None and _is_error_of_a_call(error, sys._getframe(1)):  # noqa: SLF001 - its one name
            if not isinstance(error, TRANSPORT_ERRORS):
                raise error
            ending = _take(throttle) if is_throttled else ""
            if ending is None:
                return
            # The text of the server, or of a proxy before it, is in the line.
            message, args = quote(str(message) % args if args else message) + ending, ()
        write(message, *args, **{**options, "stacklevel": options.get("stacklevel", 1) + 1})

    return log


def _grpc_replacement(write: Callable[..., None]) -> Callable[..., None]:
    def log(message: object, *args: Any, **options: Any) -> None:
        error = sys.exc_info()[1]
        if error is not None and _is_called_by_us(sys._getframe(1)):  # noqa: SLF001 - its one name
            if is_foreign(error):
                raise error
            note(error)
            ending = _take(grpc_throttle)
            if ending is None:
                return
            message = f"{message}{ending}"
        write(message, *args, **{**options, "stacklevel": options.get("stacklevel", 1) + 1})

    return log


def keep_causes(kind: type[BaseException]) -> None:
    """Give errors of this kind, which the SDK makes while it handles an exception, that exception as cause.

    Only those of the calls of this package, and not for an error of gRPC's or the SDK's.
    """
    initialize = kind.__init__

    def run(made: BaseException, *args: Any, **options: Any) -> None:
        initialize(made, *args, **options)
        error = sys.exc_info()[1]
        if error is None or isinstance(error, TRANSPORT_ERRORS):
            return
        if _is_called_by_us(sys._getframe(1)):  # noqa: SLF001 - its one name
            raise_foreign(error)
            # The frames of a traceback hold the connection.
            error.__traceback__ = None
            made.__cause__ = error

    kind.__init__ = run  # type: ignore[method-assign, assignment]  # it is wrapped


def _take(throttle: Throttle) -> str | None:
    """Return the end of a line that is due, with the number of those left out, or None if none is due."""
    if 0 < LOGGER.level <= logging.DEBUG:
        return ""
    left_out = throttle.take()
    if not left_out:
        return None if left_out is None else ""
    return f" ({left_out} more calls failed since the last such line)"


def _is_called_by_us(frame: Any) -> bool:
    for _ in range(_MAX_GRPC_DEPTH):
        if frame is None:
            return False
        if str(frame.f_globals.get("__name__")).startswith(f"{__package__}."):
            return True
        frame = frame.f_back
    return False


def _is_error_of_a_call(error: BaseException, frame: Any) -> bool:
    """Return whether the SDK handles an error of a call that this package makes.

    The SDK logs outside calls too, such as while its client is made. The current exception may then be one
    that this package handles. The first frame of a traceback is the one that handles the exception.
    """
    handler = error.__traceback__.tb_frame if error.__traceback__ is not None else None
    is_handled_by_sdk = False
    for _ in range(_MAX_DEPTH):
        if frame is None:
            return False
        if frame.f_globals.get("__name__") == f"{__package__}.sdk":
            return is_handled_by_sdk
        is_handled_by_sdk = is_handled_by_sdk or frame is handler
        frame = frame.f_back
    return False
