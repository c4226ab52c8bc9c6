"""Load gRPC and Momento's SDK on a thread of its own.

Python calls the handlers of signals on the main thread. If an exception of theirs comes during an import, the
lock of a module can stay locked, or gRPC half loaded: then each later call of the process fails, hangs or
crashes. Here it ends the wait of the caller alone, and the import goes on.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

from ..interruption import raise_foreign
from .fork_gate import gate
from .shared_lock import shared_lock

if TYPE_CHECKING:
    from .transport import Transport

_MODULE = f"{__package__}.transport"

# The module, once it has been loaded to its end. An import that is going on has an entry in sys.modules too.
_loaded: list[ModuleType] = []


def load_transport() -> type[Transport]:
    """Return the class, which may take a fifth of a second. Raises ImportError if it cannot be imported."""
    if not _loaded:
        _load_elsewhere()
    # It is loaded, or fails here with its error.
    from .transport import Transport

    shared_lock.find()
    return Transport


def _load_elsewhere() -> None:
    is_running = threading.Lock()
    is_running.acquire()

    def load() -> None:
        try:
            # Not during a fork: the child would wait for ever on the locks of imports that are half done.
            with gate.enter(), suppress(Exception):
                _loaded.append(import_module(_MODULE))
        finally:
            is_running.release()

    try:
        threading.Thread(target=load, name="momento-import", daemon=True).start()
    except Exception as error:  # noqa: BLE001 - threads fail to start in several ways
        raise_foreign(error)
    else:
        is_running.acquire()
