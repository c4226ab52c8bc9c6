"""Commands to the admin port of a Momento server, be it in this process or in another."""

from __future__ import annotations

import json
from typing import Any
from urllib.request import urlopen

from tests.kit.waiting import HANG_GUARD


def command(port: int | None, path: str, body: str = "") -> Any:
    with urlopen(f"http://127.0.0.1:{port}{path}", body.encode() or None, HANG_GUARD) as response:
        return json.load(response)
