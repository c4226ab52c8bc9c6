"""A file and a callable answer keys as a secret does, anew each time, or say what is wrong."""

from __future__ import annotations

import json
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from django_momento.conf.loading import parse
from django_momento.conf.options import ConnectionOptions
from django_momento.credentials.credential import Credential, fetch, version_reader
from django_momento.exceptions import CredentialError
from django_momento.redaction import SecretStr
from tests.kit.aws import (
    CELL,
    INNER_KEY,
    KEYS,
    LEGACY_KEY,
    V1_KEY,
    V2_KEY,
    report,
    shown_of,
)
from tests.kit.tables import table

OTHER_CELL = "cell-eu-west-1-1.prod.a.momentohq.com"
DOCUMENT = json.dumps({"api_key": V2_KEY, "endpoint": CELL})


def options(**given: Any) -> ConnectionOptions:
    return parse("default", "my-cache", {"OPTIONS": given}).connection


def failure(connection: ConnectionOptions, refresh: bool = False) -> CredentialError:
    with pytest.raises(CredentialError) as failed:
        fetch(connection, refresh)
    assert failed.value.fix
    whole = report(failed.value)
    assert [] == [run for key in KEYS for run in shown_of(key, whole)]
    return failed.value


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    return tmp_path / "api-key"


@pytest.fixture
def site() -> Iterator[Any]:
    """A module of the site's, which can be imported as ``site_credentials``."""
    module = types.ModuleType("site_credentials")
    sys.modules["site_credentials"] = module
    yield module
    del sys.modules["site_credentials"]


@table(
    ("text", "given", "key", "kind", "cell"),
    [
        (f"{V1_KEY}\n", {}, V1_KEY, "v1", CELL),
        (LEGACY_KEY, {}, INNER_KEY, "legacy", CELL),
        (f"{V2_KEY}\n", {"ENDPOINT": CELL}, V2_KEY, "v2", CELL),
        (f"\ufeff{DOCUMENT}", {}, V2_KEY, "v2", CELL),
        (DOCUMENT, {"ENDPOINT": OTHER_CELL}, V2_KEY, "v2", OTHER_CELL),
    ],
)
def test_a_key_comes_out_of_a_file(
    key_file: Path, text: str, given: dict[str, Any], key: str, kind: str, cell: str
) -> None:
    """A mounted secret holds what a secret holds, with the line break of whoever wrote it."""
    key_file.write_text(text)
    credential = fetch(options(CREDENTIALS="file", API_KEY_FILE=key_file, **given))

    expected = Credential(SecretStr(key), kind, f"File '{key_file}'", f"cache.{cell}", f"control.{cell}")
    assert expected == credential


@table(
    ("text", "reason"),
    [
        ("", "is empty."),
        (" \n", "is empty."),
        (V2_KEY, "holds a v2 key, which names no endpoint."),
        (V2_KEY[:50], "holds something that is not a Momento API key."),
        (
            DOCUMENT[:-20],
            (
                "looks like JSON, but is not valid (Unterminated string starting at, line 1, column "
                f"{DOCUMENT.rindex(': ') + 3})."
            ),
        ),
        (
            "{",
            (
                "looks like JSON, but is not valid (Expecting property name enclosed in double quotes, "
                "line 1, column 2)."
            ),
        ),
        (f"{V2_KEY}\n{V2_KEY}", "holds 2 API keys on 2 lines, and must hold one API key on one line."),
    ],
)
@table("refresh", [False, True])
def test_a_file_that_will_not_do_says_why(key_file: Path, text: str, reason: str, refresh: bool) -> None:
    """Half a file while it is being written is one of them: whoever has a key keeps it."""
    key_file.write_text(text)
    error = failure(options(CREDENTIALS="file", API_KEY_FILE=key_file), refresh)

    assert f"File '{key_file}' {reason}" == error.cause


def test_a_file_that_is_not_there_is_named(key_file: Path) -> None:
    """The path is what is most likely wrong."""
    error = failure(options(CREDENTIALS="file", API_KEY_FILE=key_file))

    assert f"File '{key_file}' does not exist." == error.cause
    assert "API_KEY_FILE must name a file" in error.fix


def test_a_file_is_read_again_and_its_change_can_be_seen(key_file: Path) -> None:
    """A rotation writes the file; nothing needs a restart."""
    key_file.write_text(json.dumps({"api_key": "old", "endpoint": "127.0.0.1:9"}))
    connection = options(CREDENTIALS="file", API_KEY_FILE=key_file)
    version = version_reader(connection)
    assert version is not None
    old, before, again = fetch(connection), version(), version()
    key_file.write_text(DOCUMENT)

    assert before == again != version()
    assert ("old", V2_KEY) == (str(old.api_key), str(fetch(connection).api_key))


@table(
    "given",
    [
        {"SECRET_ID": "momento"},
        {"CREDENTIALS": "agent", "SECRET_ID": "momento"},
        {"CREDENTIALS": "env"},
        {"CREDENTIALS": "local"},
        {"CREDENTIALS": "embedded"},
        {"CREDENTIALS": "site_credentials.current"},
    ],
)
def test_only_a_file_can_be_watched(given: dict[str, Any]) -> None:
    """Everything else would have to be asked, which costs what a fetch costs."""
    assert version_reader(options(**given)) is None


@table(
    ("answer", "given", "key", "cell"),
    [
        (V1_KEY, {}, V1_KEY, CELL),
        (DOCUMENT, {}, V2_KEY, CELL),
        ((V2_KEY, CELL), {}, V2_KEY, CELL),
        ((V2_KEY, None), {"ENDPOINT": CELL}, V2_KEY, CELL),
        ((V2_KEY, OTHER_CELL), {"ENDPOINT": CELL}, V2_KEY, CELL),
        ((DOCUMENT, OTHER_CELL), {}, V2_KEY, OTHER_CELL),
        ((V2_KEY, "no endpoint/"), {"ENDPOINT": CELL}, V2_KEY, CELL),
    ],
)
def test_a_key_comes_from_a_callable(
    site: Any, answer: object, given: dict[str, Any], key: str, cell: str
) -> None:
    """The ENDPOINT option wins over what the callable says, and that over what its key says."""
    site.current = lambda: answer
    credential = fetch(options(CREDENTIALS="site_credentials.current", **given))

    assert (key, f"cache.{cell}") == (str(credential.api_key), credential.cache_host)
    assert "Callable 'site_credentials.current'" == credential.source


def test_a_callable_is_called_for_each_fetch(site: Any) -> None:
    """It decides itself how long an answer is good."""
    site.current = iter((V1_KEY, (V2_KEY, CELL))).__next__
    connection = options(CREDENTIALS="site_credentials.current")

    assert (V1_KEY, V2_KEY) == (str(fetch(connection).api_key), str(fetch(connection, refresh=True).api_key))


@table(
    ("answer", "reason"),
    [
        ("", "is empty."),
        (V2_KEY, "holds a v2 key, which names no endpoint."),
        ((V2_KEY, "10.0.0.1:80"), "names the endpoint '10.0.0.1:80', which names a port"),
        ((CELL, V2_KEY), f"names the endpoint of {len(V2_KEY)} characters, which must be a host name"),
        (None, "returned None."),
    ],
)
def test_a_callable_s_answer_that_will_not_do_says_why(site: Any, answer: object, reason: str) -> None:
    """The callable is named, and no part of what it answered."""
    site.current = lambda: answer

    assert (
        f"Callable 'site_credentials.current' {reason}"
        in failure(options(CREDENTIALS="site_credentials.current")).cause
    )


def test_the_environment_is_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process may change its own."""
    monkeypatch.setenv("MOMENTO_API_KEY", V1_KEY)
    monkeypatch.setenv("MOMENTO_ENDPOINT", CELL)
    old = fetch(options(CREDENTIALS="env"))
    monkeypatch.setenv("MOMENTO_API_KEY", V2_KEY)

    assert (V1_KEY, V2_KEY) == (str(old.api_key), str(fetch(options(CREDENTIALS="env"), True).api_key))
