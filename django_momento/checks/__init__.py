"""System checks: each finds mistakes in ``CACHES`` or in this process without a call to Momento.

Importing this package registers the checks under Django's tag ``caches`` and under ``TAG``. No check uses the
network or imports an SDK. ``docs/checks.md`` has the cause and the fix of every id.
"""

# Each registers its checks.
from . import deployment, migration, near, pages, process, recorder, sessions, settings  # noqa: F401 - they register
