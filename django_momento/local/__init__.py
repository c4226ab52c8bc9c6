"""An in-memory server that speaks Momento's wire protocol, for development and tests.

Importing this package is cheap. gRPC and the generated messages are loaded when ``LocalServer`` is first
used.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .server import LocalServer

__all__ = ["LocalServer"]


def __getattr__(name: str) -> object:
    if name == "LocalServer":
        from .server import LocalServer

        return LocalServer
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
