"""Spell the names of RPCs and statuses: snake case for methods, kebab case for metadata."""

from __future__ import annotations

import re

from grpc import StatusCode


def snake_case(rpc_name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", rpc_name).lower()


def kebab_case(rpc_name: str) -> str:
    return snake_case(rpc_name).replace("_", "-")


def status_code(name: str) -> StatusCode:
    """Return the error status of this name, in upper or lower case.

    Raises ValueError if the name is OK's or unknown.
    """
    status = StatusCode.__members__.get(name.upper().replace("-", "_"))
    if status is None or status is StatusCode.OK:
        raise ValueError(f"{name!r} does not name an error such as `unavailable`")
    return status
