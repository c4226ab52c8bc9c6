"""The responses that no cache may store, whatever the release of Django: older ones of 5.2 store them."""

from __future__ import annotations

import re
from typing import Any

from django.utils.cache import has_vary_header

_FORBIDDING = re.compile(r"(?<![\w-])(private|no-cache|no-store)(?![\w-])", re.IGNORECASE)


def forbids_storing(response: Any) -> bool:
    """Return whether a response forbids to store it: by Cache-Control, or by an asterisk in Vary."""
    return bool(_FORBIDDING.search(response.get("Cache-Control", ""))) or has_vary_header(response, "*")
