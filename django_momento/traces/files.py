"""Files of a trace: compressed by the end of their name, of a bounded size, and readable after a crash."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Protocol

from ..codec.imports import OptionError, import_optional

# zlib's code for gzip's header and checksum.
_GZIP = 31
SUFFIXES = (".jsonl", ".jsonl.gz", ".jsonl.zst")


class _Packer(Protocol):
    """The interface that the compressors of gzip and zstd share here."""

    def pack(self, data: bytes) -> bytes: ...
    def end(self) -> bytes: ...


class _Plain:
    def pack(self, data: bytes) -> bytes:
        return data

    def end(self) -> bytes:
        return b""


class _Gzip:
    def __init__(self) -> None:
        self._stream = zlib.compressobj(wbits=_GZIP)

    def pack(self, data: bytes) -> bytes:
        # Flushed, so that a reader gets each line of a process that is still running or was killed.
        return self._stream.compress(data) + self._stream.flush(zlib.Z_SYNC_FLUSH)

    def end(self) -> bytes:
        return self._stream.flush()


class _Zstd:
    def __init__(self) -> None:
        self._stream = import_zstd("TRACE").ZstdCompressor()

    def pack(self, data: bytes) -> bytes:
        packed: bytes = self._stream.compress(data, self._stream.FLUSH_BLOCK)
        return packed

    def end(self) -> bytes:
        packed: bytes = self._stream.flush(self._stream.FLUSH_FRAME)
        return packed


_PACKERS: dict[str, Callable[[], _Packer]] = {".jsonl": _Plain, ".jsonl.gz": _Gzip, ".jsonl.zst": _Zstd}


def import_zstd(option: str) -> Any:
    """Return the module of zstd: of the standard library, or of the extra. Raises OptionError."""
    try:
        return import_optional("compression.zstd", "zstd", option)
    except OptionError:
        return import_optional("backports.zstd", "zstd", option)


def split_name(path: Path) -> tuple[str, str]:
    """Return the name of a trace without its suffix, and the suffix. Raises ValueError for another suffix."""
    for suffix in SUFFIXES:
        if path.name.endswith(suffix) and path.name != suffix:
            return path.name.removesuffix(suffix), suffix
    raise ValueError(f"{path.name!r} does not end with {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}")


class TraceFiles:
    """The files of one process. The oldest of them are removed when they are larger than ``max_bytes``.

    Each method raises OSError if the disk refuses to store a file.
    """

    _PARTS = 4

    def __init__(self, path: Path, process: str, header: bytes, max_bytes: int) -> None:
        name, self._suffix = split_name(path)
        self._stem = path.with_name(f"{name}-{process}")
        self._header = header
        self._part_bytes = max(1, max_bytes // self._PARTS)
        self._number = 0
        self._paths: list[Path] = []
        self._file: IO[bytes] | None = None
        self._packer: _Packer = _Plain()
        self._size = 0

    def write(self, data: bytes) -> None:
        """Write lines to the present file, or to a new one if the present one is full."""
        file = self._file
        if file is None or self._size >= self._part_bytes:
            self.close()
            file = self._open()
        self._put(file, self._packer.pack(data))

    def close(self) -> None:
        """End the present file. The next lines go to a new one."""
        if self._file is not None:
            try:
                self._put(self._file, self._packer.end())
            finally:
                self.abandon()

    def abandon(self) -> None:
        """Close the present file as it is, as after an error and in a forked child."""
        file, self._file = self._file, None
        if file is not None:
            with suppress(OSError):
                file.close()

    def _open(self) -> IO[bytes]:
        self._number += 1
        path = self._stem.with_name(f"{self._stem.name}-{self._number}{self._suffix}")
        while len(self._paths) >= self._PARTS:
            with suppress(OSError):
                self._paths[0].unlink()
            del self._paths[0]
        packer = _PACKERS[self._suffix]()
        # Unbuffered: a forked child must not write the rest of its parent's buffer.
        file: IO[bytes] = path.open("xb", buffering=0)
        self._file = file
        self._paths.append(path)
        self._packer, self._size = packer, 0
        self._put(file, packer.pack(self._header))
        return file

    def _put(self, file: IO[bytes], data: bytes) -> None:
        view = memoryview(data)
        while view:
            written = file.write(view)
            view = view[written:]
            self._size += written
