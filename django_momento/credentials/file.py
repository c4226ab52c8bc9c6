"""A small file that holds a secret: read whole but bounded, and watched for changes.

Links are followed each time, which is how Kubernetes replaces a mounted secret: it swaps a link to a folder.
Errors say what is wrong with the file, and never what is in it.
"""

from __future__ import annotations

import stat
from pathlib import Path

from django_momento.redaction import SecretStr

# What Secrets Manager allows a secret. A file that is larger is another file.
MOST_BYTES = 65_536


def read(path: Path) -> SecretStr:
    """Answer the text of a file. Raises ValueError, with words to put after the file's name."""
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise ValueError("is a directory")
        if not stat.S_ISREG(mode):
            # A pipe would keep the process waiting for who knows how long.
            raise ValueError("is not a regular file")
        with path.open("rb") as file:
            text = SecretStr.from_bytes(file.read(MOST_BYTES))
            is_whole = not file.read(1)
    except FileNotFoundError:
        raise ValueError("does not exist") from None
    except PermissionError:
        raise ValueError("may not be read by the user of this process") from None
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror or type(error).__name__}") from None
    if not is_whole:
        raise ValueError(f"holds more than {MOST_BYTES} bytes")
    if text is None:
        raise ValueError("holds bytes that are not UTF-8 text")
    return text


def version(path: Path) -> object:
    """Answer what differs after a file was written, replaced, removed or allowed to be read. Never raises."""
    try:
        found = path.stat()
    except (OSError, ValueError) as error:
        return type(error)
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
