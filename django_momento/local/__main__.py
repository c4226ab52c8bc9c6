"""Serve until standard input ends: ``python -m django_momento.local``.

The first line of standard input is the API key. The first line of standard output is the port. ``process``
starts this program, so that the server ends with the process that started it, however that process ends.
"""

from __future__ import annotations

import signal
import sys

from . import LocalServer


def main() -> None:
    # Ctrl-C in a terminal reaches every process. The one that started this one decides when to end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    api_key = sys.stdin.readline().strip()
    with LocalServer(api_keys=[api_key], create_missing_caches=True) as server:
        sys.stdout.write(f"{server.port}\n")
        sys.stdout.flush()
        sys.stdin.read()


main()
