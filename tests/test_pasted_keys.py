"""API keys in settings are found wherever they stand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from django_momento.pasted_keys import api_key_path
from tests.kit.aws import KEYS


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize(
    ("around", "path"),
    [
        (lambda key: key, ""),
        (lambda key: f" {key}\n", ""),
        (lambda key: key.encode(), ""),
        (lambda key: Path("/run") / key, ""),
        (lambda key: f'{{"api_key": "{key}"}}', ""),
        (lambda key: {"LOCATION": "a", "OPTIONS": {"REGION": key}}, "['OPTIONS']['REGION']"),
        (lambda key: {"OPTIONS": [1, ("a", key)]}, "['OPTIONS'][1][1]"),
        (lambda key: {"OPTIONS": {key: 1}}, "['OPTIONS']"),
    ],
)
def test_a_key_is_found_where_it_stands(around: Any, path: str, key: str) -> None:
    """The path is what a message needs to name the setting."""
    assert path == api_key_path(around(key))


@pytest.mark.parametrize(
    "value",
    [
        "",
        "Momento_Auth_Token",
        "eyJ",
        "eyJhbGciOi",
        "arn:aws:secretsmanager:eu-west-1:1:secret:a-AbCdEf",
        5,
        None,
    ],
)
def test_what_is_no_key_is_not_taken_for_one(value: object) -> None:
    """Names, ARNs and short words are settings like any other."""
    assert api_key_path({"OPTIONS": {"SECRET_ID": value}}) is None
