"""The site for WSGI servers that fork: it uses the cache, both colours of it, when it is imported."""

import asyncio
import os

from django.core.cache import cache

from tests.processes.wsgi import application

cache.set_many({"imported": os.getpid(), "other": 0})
assert cache.get("imported") == os.getpid() == asyncio.run(cache.aget("imported"))

__all__ = ["application"]
