"""The change from one cache to another without a cold cache: ``DualCache``, an alias over two others."""

from .cache import DualCache

__all__ = ["DualCache"]
