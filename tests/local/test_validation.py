"""The reasons to refuse a request before it touches the store."""

from __future__ import annotations

import pytest

from django_momento.local import validation
from django_momento.local.errors import InvalidArgument, ItemTooLarge


def test_good_arguments_come_back_as_they_are() -> None:
    """A check returns its argument, so that a call of it can stand in the argument's place."""
    assert validation.require_cache_name("name", "cache_name") == "name"
    assert validation.require_key(b"key") == b"key"
    assert validation.require_ttl(1) == 1


def test_an_empty_cache_name_is_refused_by_the_argument_it_came_in() -> None:
    """Control calls have it in the message, data calls in the metadata."""
    with pytest.raises(InvalidArgument, match="cache_name must not be empty"):
        validation.require_cache_name("", "cache_name")


def test_an_empty_key_is_refused() -> None:
    """The text names the argument."""
    with pytest.raises(InvalidArgument, match="cache_key must not be empty"):
        validation.require_key(b"")


def test_a_ttl_of_zero_is_refused() -> None:
    """The text names the argument, which is not always the same."""
    with pytest.raises(InvalidArgument, match="ttl_milliseconds must be greater than 0"):
        validation.require_ttl(0)
    with pytest.raises(InvalidArgument, match="increase_to_milliseconds must be greater than 0"):
        validation.require_ttl(0, "increase_to_milliseconds")


def test_the_largest_item_has_five_mebibytes_of_key_and_value() -> None:
    """5,242,880 bytes pass, one more does not."""
    value = bytes(validation.MAX_ITEM_SIZE - 3)
    validation.require_item(b"key", value, 1)
    with pytest.raises(ItemTooLarge, match=r"The item size limit is 5242880 bytes .* this item has 5242881"):
        validation.require_item(b"key!", value, 1)
