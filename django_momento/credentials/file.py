"""Read a small file that holds a secret, and notice changes of the file.

Links are followed each time, because Kubernetes replaces a mounted secret by swapping a link to a folder.
Errors describe the file and never quote it.
"""

from __future__ import annotations

import stat
from pathlib import Path

from ..redaction import SecretStr, quote

# The largest secret of Secrets Manager. A larger file is not a secret.
MAX_BYTES = 65_536

_UTF_16 = (b"\xff\xfe", b"\xfe\xff")


def read(path: Path) -> SecretStr:
    """Return the text of a file. Raises ValueError with a message that continues after the file's name."""
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise ValueError("is a directory")
        if not stat.S_ISREG(mode):
            # Reading a pipe would wait for a writer.
            raise ValueError("is not a regular file")
        with path.open("rb") as file:
            text = SecretStr.from_bytes(file.read(MAX_BYTES))
            is_whole = not file.read(1)
            file.seek(0)
            is_utf_16 = file.read(2) in _UTF_16
    except FileNotFoundError:
        raise ValueError("does not exist") from None
    except PermissionError:
        raise ValueError("may not be read by the user of this process") from None
    except OSError as error:
        raise ValueError(f"cannot be read: {quote(error.strerror or type(error).__name__)}") from None
    if not is_whole:
        raise ValueError(f"holds more than {MAX_BYTES} bytes")
    if is_utf_16:
        raise ValueError("holds UTF-16 text, as PowerShell writes it, and must hold UTF-8")
    if text is None:
        raise ValueError("holds bytes that are not UTF-8 text")
    return text


def version(path: Path) -> object:
    """Return a value that changes if the file is written, replaced, removed or made readable.

    Never raises.
    """
    try:
        status = path.stat()
    except (OSError, ValueError) as error:
        return type(error)
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
