"""The names of RPCs and statuses as others write them: methods in snake case, metadata in kebab case.

Spelling alone; what a name is looked up in is its caller's business.
"""

from __future__ import annotations

import re

from grpc import StatusCode


def snake_case(rpc_name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", rpc_name).lower()


def kebab_case(rpc_name: str) -> str:
    return snake_case(rpc_name).replace("_", "-")


def status_code(name: str) -> StatusCode:
    """Return the error status of this name, in whichever case it is. Raises ValueError."""
    status = StatusCode.__members__.get(name.upper().replace("-", "_"))
    if status is None or status is StatusCode.OK:
        raise ValueError(f"{name!r} does not name an error such as `unavailable`")
    return status
