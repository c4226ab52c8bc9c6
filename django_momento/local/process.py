"""A server in a process of its own, for a process that cannot serve itself.

gRPC cannot serve in the forked child of a process that served: calls to such a server hang.
"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import IO, cast


class ServerProcess:
    """A server for one API key, which creates caches when they are first used.

    It ends with ``stop``, or when the process that started it ends in any way.
    """

    def __init__(self, api_key: str) -> None:
        self.host = "127.0.0.1"
        self.port = 0
        self._api_key = api_key
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> ServerProcess:
        """Start the process. Return once clients can connect. Raises OSError if it does not start."""
        process = subprocess.Popen(
            [sys.executable, "-m", "django_momento.local"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            # Modules are found where this process finds them.
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path or os.curdir for path in sys.path)},
        )
        stdin, stdout = cast("IO[str]", process.stdin), cast("IO[str]", process.stdout)
        with stdout:
            try:
                # The key is not in the arguments, because every user of the machine can read those.
                stdin.write(f"{self._api_key}\n")
                stdin.flush()
                self.port = int(stdout.readline())
            except (OSError, ValueError) as error:
                process.kill()
                process.communicate()
                raise OSError(
                    f"The embedded server did not start: {sys.executable} -m django_momento.local ended with "
                    f"status {process.returncode}. Run it to see why."
                ) from error
        self._process = process
        return self

    def stop(self) -> None:
        """End the process, if it runs."""
        process, self._process = self._process, None
        if process is not None and process.stdin is not None:
            process.stdin.close()
            process.wait()

    def release(self) -> None:
        """Leave the server to the process that started it. For a forked child, which inherits this object."""
        process, self._process = self._process, None
        if process is not None and process.stdin is not None:
            process.stdin.close()
            # It is not a child of this process, which must neither wait for it nor warn that it runs.
            process.returncode = 0
