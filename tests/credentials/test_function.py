"""A callable answers a key, and whatever else it does becomes an error that shows nothing of it."""

from __future__ import annotations

import asyncio
import functools
import sys
import types
from collections.abc import Iterator
from typing import Any

import pytest

from django_momento.credentials.boundary import RedactedTraceback
from django_momento.credentials.function import call
from django_momento.exceptions import CredentialError
from django_momento.redaction import SecretStr
from tests.kit.aws import (
    CELL,
    KEYS,
    LEGACY_KEY,
    V1_KEY,
    V2_KEY,
    report,
    shown_of,
)
from tests.kit.tables import table


@pytest.fixture
def site() -> Iterator[types.ModuleType]:
    """A module of the site's, which can be imported as ``site_keys``."""
    module = types.ModuleType("site_keys")
    sys.modules["site_keys"] = module
    yield module
    del sys.modules["site_keys"]


def failure(path: str = "site_keys.current") -> CredentialError:
    with pytest.raises(CredentialError) as failed:
        call(path)
    assert failed.value.fix
    whole = report(failed.value)
    assert [] == [run for key in KEYS for run in shown_of(key, whole)]
    return failed.value


class Source:
    def __call__(self) -> str:
        return V2_KEY

    def method(self) -> str:
        return V2_KEY


@table(
    ("current", "key", "endpoint"),
    [
        (lambda: V2_KEY, V2_KEY, None),
        (lambda: SecretStr(V2_KEY), V2_KEY, None),
        (lambda: (V2_KEY, CELL), V2_KEY, CELL),
        (lambda: [V2_KEY, CELL], V2_KEY, CELL),
        (lambda: (V1_KEY, None), V1_KEY, None),
        (lambda: "", "", None),
        (functools.partial(str, V2_KEY), V2_KEY, None),
        (Source(), V2_KEY, None),
        (Source().method, V2_KEY, None),
    ],
)
def test_a_callable_answers_a_key_and_perhaps_an_endpoint(
    site: Any, current: Any, key: str, endpoint: str | None
) -> None:
    """Anything that can be called without arguments will do, and its answer is wrapped at once."""
    site.current = current
    answered, named = call("site_keys.current")

    assert (key, endpoint, SecretStr) == (str(answered), named, type(answered))
    assert type(named) in (SecretStr, type(None))


def test_a_callable_is_called_anew_each_time(site: Any) -> None:
    """A key that was refused is asked for again."""
    site.current = iter(("old", "new")).__next__

    assert ("old", "new") == (call("site_keys.current")[0], call("site_keys.current")[0])


@table(
    ("path", "reason"),
    [
        ("no_such_module.current", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("site_keys.no_such_name", "AttributeError: module 'site_keys' has no attribute 'no_such_name'"),
        ("current", "ValueError: Empty module name"),
    ],
)
@pytest.mark.usefixtures("site")
def test_what_cannot_be_imported_says_why(path: str, reason: str) -> None:
    """A typo in the path, or a module that lacks something itself."""
    error = failure(path)

    assert f"Callable {path!r} cannot be imported: {reason}." == error.cause
    assert isinstance(error.__cause__, RedactedTraceback)


def test_a_module_that_breaks_shows_no_key(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """Whatever it raises while it is imported, and whatever it says."""
    (tmp_path / "broken_keys.py").write_text(f"raise RuntimeError({V2_KEY!r})\n")
    monkeypatch.syspath_prepend(tmp_path)
    error = failure("broken_keys.current")

    assert "Callable 'broken_keys.current' cannot be imported: RuntimeError: **********." == error.cause
    assert "broken_keys.py" in str(error.__cause__)


@table("value", [V2_KEY, None, 5, {"api_key": V2_KEY}])
def test_what_is_no_callable_says_what_it_is(site: Any, value: object) -> None:
    """A path that leads to the key itself is a likely mistake."""
    site.current = value
    kind = "None" if value is None else f"something of type {type(value).__name__}"

    assert f"Callable 'site_keys.current' cannot be called: it is {kind}." == failure().cause


@table(
    ("answer", "kind"),
    [
        (None, "None"),
        (5, "something of type int"),
        (V2_KEY.encode(), "something of type bytes"),
        ({"api_key": V2_KEY}, "something of type dict"),
        ((V2_KEY,), "a tuple of 1"),
        ((V2_KEY, CELL, 443), "a tuple of 3"),
        ((V2_KEY, 443), "a tuple of 2"),
        ((None, CELL), "a tuple of 2"),
        ([], "a list of 0"),
    ],
)
def test_an_answer_that_is_no_key_says_what_it_is(site: Any, answer: object, kind: str) -> None:
    """The type is named, and nothing that is in it."""
    site.current = lambda: answer

    assert f"Callable 'site_keys.current' returned {kind}." == failure().cause


async def coroutine_function() -> str:
    return V2_KEY


class AsyncSource:
    async def __call__(self) -> str:
        return V2_KEY


@pytest.mark.parametrize(
    "current", [coroutine_function, AsyncSource(), functools.partial(coroutine_function)]
)
def test_a_coroutine_function_is_refused_before_it_is_called(site: Any, current: object) -> None:
    """A key is fetched on a thread, which has no event loop."""
    site.current = current
    error = failure()

    assert "Callable 'site_keys.current' is a coroutine function." == error.cause
    assert "asyncio.run()" in error.fix


def test_something_to_await_is_refused_and_let_go(site: Any) -> None:
    """A function that answers a coroutine cannot be told before; Python must not warn of it as well."""
    site.current = functools.partial(lambda source: source(), AsyncSource())

    assert "Callable 'site_keys.current' returned an awaitable." == failure().cause


def test_a_future_is_refused_too(site: Any) -> None:
    """It is awaited as well, and cannot be closed."""
    loop = asyncio.new_event_loop()
    site.current = loop.create_future

    assert "returned an awaitable" in failure().cause
    loop.close()


@pytest.mark.parametrize("key", [V2_KEY, V1_KEY, LEGACY_KEY])
def test_what_a_callable_raises_is_told_again_without_the_key(site: Any, key: str) -> None:
    """The words and the way there help; the key in them, in the chain and in the frames does not."""

    def current() -> str:
        answer = {"api_key": key}
        try:
            raise KeyError(answer)
        except KeyError as error:
            raise RuntimeError(f"the vault said {answer}") from error

    site.current = current
    error = failure()

    assert error.cause.startswith(f"Callable 'site_keys.current' raised RuntimeError in {__file__}, line ")
    told = str(error.__cause__)
    assert isinstance(error.__cause__, RedactedTraceback)
    assert "RuntimeError: the vault said {'api_key': '**********" in told
    assert "in current" in told
    assert "KeyError" in told
    assert [] == shown_of(key, told)
    assert error.__cause__.__traceback__ is None


def test_a_callable_can_still_be_interrupted(site: Any) -> None:
    """An interruption of the process is no failure to get a key."""

    def current() -> str:
        raise KeyboardInterrupt

    site.current = current
    with pytest.raises(KeyboardInterrupt):
        call("site_keys.current")


@table("code", [0, 1, "no vault", None])
def test_a_callable_that_exits_ends_only_itself(site: Any, code: object) -> None:
    """A command-line tool used as a library may call sys.exit()."""

    def current() -> str:
        sys.exit(code)  # type: ignore[arg-type]  # anything can be raised

    site.current = current

    assert f"Callable 'site_keys.current' raised SystemExit in {__file__}, line " in failure().cause


def test_a_module_that_exits_at_its_import_ends_only_itself(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    (tmp_path / "exiting_keys.py").write_text("raise SystemExit(3)\n")
    monkeypatch.syspath_prepend(tmp_path)

    assert (
        "Callable 'exiting_keys.current' cannot be imported: SystemExit: 3."
        == failure("exiting_keys.current").cause
    )
