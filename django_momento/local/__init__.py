"""Momento Local: an in-memory server that speaks Momento's wire protocol, for development and tests.

It imports nothing from the rest of django_momento, whose client it is there to test. Importing this
package must stay cheap: grpc and the generated messages arrive with the first use of ``LocalServer``.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from django_momento.local.server import LocalServer

__all__ = ["LocalServer"]


def __getattr__(name: str) -> object:
    if name == "LocalServer":
        from django_momento.local.server import LocalServer

        return LocalServer
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
