"""Methods and arguments of other backends: errors that name the replacement."""

from __future__ import annotations

import pytest

from tests.conftest import MakeCache
from tests.kit.faces import EACH_FACE, call
from tests.kit.tables import table


@table(
    ("name", "replacement"),
    [
        ("delete_pattern", "generation"),
        ("keys", "cannot list keys"),
        ("iter_keys", "cannot list keys"),
        ("persist", r"touch\(key, None\)"),
        ("expire_at", r"expire\(key, timeout\)"),
        ("pttl", r"ttl\(key\)"),
        ("get_lock", r"lock\(key, timeout\)"),
        ("hset", "sdk_client"),
        ("adelete_pattern", "generation"),
        ("smismember", "sdk_client"),
        ("azpopmin", "sdk_client"),
        ("pipeline", "Use a Redis"),
        ("getset", "not atomic"),
        ("rename", "under the other key"),
    ],
    afresh=True,
)
def test_a_method_of_another_backend_is_an_error_that_names_the_replacement(
    make_cache: MakeCache, name: str, replacement: str
) -> None:
    """An AttributeError, so that hasattr() is False."""
    cache = make_cache()

    assert not hasattr(cache, name)
    with pytest.raises(AttributeError, match=f"MomentoCache has no '{name}'.*{replacement}"):
        getattr(cache, name)


def test_any_other_attribute_is_the_usual_error(make_cache: MakeCache) -> None:
    """Settings that are refused are theirs, even in an attribute."""
    with pytest.raises(AttributeError, match="'MomentoCache' object has no attribute 'no_such'"):
        make_cache().no_such  # type: ignore[attr-defined]  # noqa: B018 - reading it is the test


@EACH_FACE
@table(
    ("verb", "name", "replacement"),
    [
        ("set", "nx", r"Use add\(key, value, timeout\)"),
        ("set", "xx", r"Use has_key\(\)"),
        ("set", "client", "Leave it out"),
        ("set", "px", "Use timeout, in seconds"),
        ("incr", "ignore_key_check", r"Use add\(key, 0\)"),
        ("set", "no_such", "$"),
    ],
    afresh=True,
)
def test_an_argument_of_another_backend_is_an_error_that_names_the_replacement(
    make_cache: MakeCache, face: str, verb: str, name: str, replacement: str
) -> None:
    """A TypeError, as for every argument that does not exist."""
    cache = make_cache()
    with pytest.raises(
        TypeError, match=f"{verb}.* unexpected keyword argument '{name}'.*{replacement}|no_such"
    ):
        call(cache, face, verb, "key", 1, **{name: True})
    assert cache.get("key") is None
