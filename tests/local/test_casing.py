"""The names of RPCs and statuses as others write them."""

from __future__ import annotations

from typing import Any

import pytest
from grpc import StatusCode

from django_momento.local.casing import kebab_case, snake_case, status_code
from tests.kit.tables import table


@table(
    ("rpc", "method"),
    [("Get", "get"), ("SetIfNotExists", "set_if_not_exists"), ("UpdateTtl", "update_ttl")],
)
def test_a_servicer_names_its_methods_in_snake_case(rpc: Any, method: Any) -> None:
    """That is how an RPC finds the method that handles it."""
    assert snake_case(rpc) == method


def test_metadata_names_rpcs_in_kebab_case() -> None:
    """That is how a client asks for faults."""
    assert kebab_case("SortedSetLengthByScore") == "sorted-set-length-by-score"


@table("name", ["resource-exhausted", "RESOURCE_EXHAUSTED", "Resource-Exhausted"])
def test_a_status_is_known_by_its_name(name: Any) -> None:
    """As metadata writes it, and as gRPC does."""
    assert status_code(name) is StatusCode.RESOURCE_EXHAUSTED


@table("name", ["ok", "", "resource exhausted", "teapot"])
def test_what_names_no_error_is_refused(name: Any) -> None:
    """OK is a status, but no error."""
    with pytest.raises(ValueError, match=f"'{name}' does not name an error"):
        status_code(name)
