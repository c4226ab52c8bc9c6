"""The names of RPCs as others write them: methods in snake case, metadata in kebab case.

Spelling alone; what a name is looked up in is its caller's business.
"""

from __future__ import annotations

import re


def snake_case(rpc_name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", rpc_name).lower()


def kebab_case(rpc_name: str) -> str:
    return snake_case(rpc_name).replace("_", "-")
