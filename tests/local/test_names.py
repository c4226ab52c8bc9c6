"""The names of RPCs as others write them."""

import pytest

from django_momento.local.names import kebab_case, snake_case


@pytest.mark.parametrize(
    ("rpc", "method"),
    [("Get", "get"), ("SetIfNotExists", "set_if_not_exists"), ("UpdateTtl", "update_ttl")],
)
def test_a_servicer_names_its_methods_in_snake_case(rpc, method):
    """That is how an RPC finds the method that answers it."""
    assert snake_case(rpc) == method


def test_metadata_names_rpcs_in_kebab_case():
    """That is how a client asks for faults."""
    assert kebab_case("SortedSetLengthByScore") == "sorted-set-length-by-score"
