"""Where the process of a soak gets its API key from."""

from __future__ import annotations

import json
import os
from pathlib import Path


def read() -> tuple[str, str]:
    """Return the API key and the endpoint that the secret names."""
    secret = json.loads(Path(os.environ["SOAK_SECRET"]).read_text())
    return secret["api_key"], secret["endpoint"]
