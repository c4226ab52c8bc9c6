"""Clients that hang up: gRPC logs an error with a traceback if one does so just as its stream is ended.

That is nothing to report, and cannot be prevented: between a look whether the client is still there and the
end of its stream it may always go.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

_GRPC = logging.getLogger("grpc._cython.cygrpc")
_MESSAGE = "ExecuteBatchError raised in core by servicer method"


@contextmanager
def not_logged(log: logging.Logger = _GRPC) -> Iterator[None]:
    """Keep them out of gRPC's log for as long as the block lasts, and nothing else."""

    # One for each server, so that the first to stop does not take that of the others with it.
    def is_something_else(record: logging.LogRecord) -> bool:
        return not record.getMessage().startswith(_MESSAGE)

    log.addFilter(is_something_else)
    try:
        yield
    finally:
        log.removeFilter(is_something_else)
