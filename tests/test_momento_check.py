"""The doctor as a command: what it prints, its JSON, and its exit status."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from django_momento.local import LocalServer

from .conftest import CACHE_NAME, MakeCache, local_options

ROOT = Path(__file__).parents[1]
BACKEND = "django_momento.cache.MomentoCache"
KEY = "the-key-of-the-server"


def check(*args: str, **options: Any) -> str:
    output = StringIO()
    call_command("momento_check", *args, stdout=output, no_color=True, **options)
    return output.getvalue()


def failing(*args: str, **options: Any) -> dict[str, Any]:
    """Run the command as JSON on what must fail; answer its last step."""
    output = StringIO()
    with pytest.raises(CommandError, match="1 of 1 caches failed: default") as caught:
        call_command("momento_check", *args, stdout=output, json=True, **options)
    assert caught.value.returncode == 1
    report = json.loads(output.getvalue())
    (cache,) = report["caches"]
    assert (report["ok"], cache["ok"], cache["alias"]) == (False, False, "default")
    last: dict[str, Any] = cache["steps"][-1]
    assert last["ok"] is False
    assert last["cause"]
    assert last["fix"]
    return last


@pytest.fixture
def guarded() -> Any:
    """A server that takes one key only."""
    with LocalServer(api_keys=[KEY], caches=[CACHE_NAME]) as server:
        yield server


@pytest.fixture
def from_environment(guarded: LocalServer, settings: Any, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """CACHES with its key in the environment; answers its one alias, to be changed."""
    monkeypatch.setenv("MOMENTO_API_KEY", KEY)
    options = {"CREDENTIALS": "env", "ENDPOINT": guarded.address}
    config = {"BACKEND": BACKEND, "LOCATION": CACHE_NAME, "OPTIONS": options}
    settings.CACHES = {"default": config}
    return config


def test_a_cache_that_works_is_reported_step_by_step(make_cache: MakeCache) -> None:
    """One line a step: what was found, and how long it took."""
    make_cache()
    lines = check().splitlines()
    assert lines[0] == "default"
    assert [line.split()[0] for line in lines[1:]] == ["ok"] * 6
    assert "20 gets: median" in lines[-1]


def test_json_is_one_object(make_cache: MakeCache) -> None:
    """Machines read the whole report, latency in milliseconds included."""
    make_cache()
    report = json.loads(check("--requests", "3", json=True))
    (cache,) = report["caches"]
    assert (report["ok"], cache["ok"], cache["alias"]) == (True, True, "default")
    latency = cache["steps"][-1]["latency"]
    assert latency["requests"] == 3
    assert 0 < latency["minimum"] <= latency["median"] <= latency["p99"] <= latency["maximum"]


def test_every_momento_alias_is_checked_unless_named(momento: LocalServer, settings: Any) -> None:
    """Other backends are left out; a name picks one."""
    config = {"BACKEND": BACKEND, "LOCATION": CACHE_NAME, "OPTIONS": local_options(momento)}
    other = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
    settings.CACHES = {"default": other, "pages": config, "sessions": {**config, "KEY_PREFIX": "s"}}
    checked = [line for line in check().splitlines() if not line.startswith(" ")]
    assert checked == ["pages", "sessions"]
    assert check("sessions").splitlines()[0] == "sessions"


def test_one_alias_that_fails_does_not_hide_the_others(momento: LocalServer, settings: Any) -> None:
    """All are checked, and the exit status says that one failed."""
    config = {"BACKEND": BACKEND, "LOCATION": CACHE_NAME, "OPTIONS": local_options(momento)}
    settings.CACHES = {"default": {**config, "LOCATION": "missing"}, "pages": config}
    output = StringIO()
    with pytest.raises(CommandError, match="1 of 2 caches failed: default"):
        call_command("momento_check", stdout=output, no_color=True)
    assert "FAIL  cache" in output.getvalue()
    assert "20 gets" in output.getvalue()


def test_a_missing_cache_is_reported_and_created_on_request(from_environment: dict[str, Any]) -> None:
    """The fix that the report names is the one that helps."""
    from_environment["LOCATION"] = "missing"
    last = failing()
    assert (last["name"], last["error"]) == ("cache", "CacheNotFound")
    assert "'missing'" in last["cause"]
    assert "--create" in last["fix"]
    assert "'missing' was created" in check(create=True)
    assert "'missing' exists" in check()


def test_a_wrong_key_is_reported_and_not_shown(
    from_environment: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The report says where the key came from, and nothing of what it is."""
    monkeypatch.setenv("MOMENTO_API_KEY", "a-wrong-key-of-some-length")
    last = failing()
    assert (last["name"], last["error"]) == ("connection", "AuthenticationFailed")
    assert "MOMENTO_API_KEY" in last["cause"]
    assert "a-wrong" not in json.dumps(last)


def test_a_stopped_server_is_reported(guarded: LocalServer, from_environment: dict[str, Any]) -> None:
    """The report says which address was tried."""
    guarded.stop()
    last = failing()
    assert (last["name"], last["error"]) == ("connection", "ServerUnavailable")
    assert guarded.address in last["cause"]


def test_wrong_options_are_reported(from_environment: dict[str, Any]) -> None:
    """What is wrong with CACHES is the first step's to say."""
    from_environment["OPTIONS"]["TIMOUT"] = 5
    last = failing()
    assert (last["name"], last["error"]) == ("options", "ConfigurationError")
    assert "'TIMOUT'" in last["cause"]


def test_a_key_function_that_cannot_be_imported_is_reported(from_environment: dict[str, Any]) -> None:
    """Django's own complaint is passed on, not a traceback."""
    from_environment["KEY_FUNCTION"] = "no.such.function"
    output = StringIO()
    with pytest.raises(CommandError):
        call_command("momento_check", stdout=output, no_color=True)
    assert "FAIL  options" in output.getvalue()
    assert "No module named 'no'" in output.getvalue()
    assert "KEY_FUNCTION" in output.getvalue()


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["nowhere"], "CACHES has no alias 'nowhere'. It has: default, other"),
        (["other"], "The backend of 'other' is 'django.core.cache.backends.dummy.DummyCache'"),
        (["--requests", "0"], "'0' is not a whole number of at least 1"),
        (["--requests", "many"], "'many' is not a whole number of at least 1"),
    ],
)
def test_wrong_arguments_are_explained(
    from_environment: dict[str, Any], settings: Any, args: list[str], message: str
) -> None:
    """A name or a number that makes no sense is refused before anything is done."""
    dummy = {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}
    settings.CACHES = {"default": from_environment, "other": dummy}
    with pytest.raises(CommandError, match=message):
        check(*args)


def test_a_site_without_momento_is_told_so(settings: Any) -> None:
    """Nothing to check is not a success."""
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}}
    with pytest.raises(CommandError, match=r"No alias of CACHES uses Momento.*MomentoCache"):
        check()


def test_the_exit_status_is_one_if_a_step_failed(tmp_path: Path) -> None:
    """Deployments act on the status; what is printed before is still JSON."""
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "example_project.settings"}
    environment["CACHE_URL"] = "momento-local://127.0.0.1:1/nowhere"
    command = [sys.executable, "manage.py", "momento_check", "--json"]
    done = subprocess.run(
        command, check=False, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 1
    assert json.loads(done.stdout)["ok"] is False
    assert "1 of 1 caches failed" in done.stderr
    assert "Traceback" not in done.stderr
