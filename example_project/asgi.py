"""The example site as ASGI application: ``example_project.asgi:application``.

If the environment has ``WARM_UP``, the process connects to the cache while it starts. ``make demo`` sets it,
so that the first page shows the time of a cache call alone. Leave it unset on Lambda.
"""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "example_project.settings")

application = get_asgi_application()

if os.environ.get("WARM_UP"):
    from django.core.cache import caches

    from django_momento.cache import MomentoCache
    from example_project.activity import warm_up

    if isinstance(default := caches["default"], MomentoCache):
        warm_up(default)
