"""API keys that somebody pasted into the settings, where no source of credentials reads one.

From there they would travel on into logs, error reports and repositories. Pure values; knows nothing of what
each setting means.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath

from .redaction import looks_like_a_key


def api_key_path(value: object) -> str | None:
    """Answer where in a value an API key stands, such as ``['OPTIONS']['REGION']``, or None where none does.

    For a text that holds one the path is empty, and for a name in a dict it is that of the dict.
    """
    if isinstance(value, Mapping):
        parts = [part for name, below in value.items() for part in (("", name), (f"[{name!r}]", below))]
    elif isinstance(value, list | tuple):
        parts = [(f"[{index}]", below) for index, below in enumerate(value)]
    else:
        text = value.decode("latin-1") if isinstance(value, bytes) else value
        return "" if isinstance(text, str | PurePath) and looks_like_a_key(str(text)) else None
    found = ((step, api_key_path(part)) for step, part in parts)
    return next((f"{step}{path}" for step, path in found if path is not None), None)
