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
from tests.conftest import CACHE_NAME, MakeCache, local_options
from tests.kit.tables import table
from tests.kit.waiting import HANG_GUARD

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, str(ROOT / "manage.py"), "momento_check"]
BACKEND = "django_momento.cache.MomentoCache"
KEY = "the-key-of-the-server"


def check(*args: str, **options: Any) -> str:
    output = StringIO()
    call_command("momento_check", *args, stdout=output, no_color=True, **options)
    return output.getvalue()


def failing(*args: str, **options: Any) -> dict[str, Any]:
    """Run the command as JSON on what must fail. Return its last step."""
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
    options = {"CREDENTIALS": "env", "ENDPOINT": guarded.address, "CLIENT_TIMEOUT": HANG_GUARD}
    config = {"BACKEND": BACKEND, "LOCATION": CACHE_NAME, "OPTIONS": options}
    settings.CACHES = {"default": config}
    return config


def test_a_cache_that_works_is_reported_step_by_step(make_cache: MakeCache) -> None:
    """One line a step: what was found, and how long it took."""
    make_cache()
    lines = check().splitlines()
    marked = [line for line in lines if line.startswith("  ok  ")]

    assert ("default", "All caches work: default") == (lines[0], lines[-1])
    assert 7 == len(marked)
    assert "20 gets: median" in marked[5]
    assert any("up to" in line and "#" in line for line in lines)
    assert any("on demand the account has 100" in line for line in lines)


def test_json_is_one_object(make_cache: MakeCache) -> None:
    """Machines read the whole report, latency in milliseconds included."""
    make_cache()
    report = json.loads(check("--requests", "3", json=True))
    (cache,) = report["caches"]
    assert (report["ok"], cache["ok"], cache["alias"]) == (True, True, "default")
    *_, measured, limits = cache["steps"]
    latency = measured["latency"]
    assert latency["requests"] == 3
    assert 0 < latency["minimum"] <= latency["median"] <= latency["p99"] <= latency["maximum"]
    assert sum(bucket["requests"] for bucket in latency["histogram"]) == 3
    assert [fact["name"] for fact in limits["facts"]] == [
        "ttl_seconds",
        "overhead_bytes",
        "largest_item_bytes",
        "operations_per_second",
        "operations_used",
    ]


def test_every_momento_alias_is_checked_unless_named(momento: LocalServer, settings: Any) -> None:
    """Other backends are left out; a name picks one."""
    config = {"BACKEND": BACKEND, "LOCATION": CACHE_NAME, "OPTIONS": local_options(momento)}
    other = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
    settings.CACHES = {"default": other, "pages": config, "sessions": {**config, "KEY_PREFIX": "s"}}
    checked = [line for line in check().splitlines() if not line.startswith(" ")]
    assert checked == ["pages", "sessions", "All caches work: pages, sessions"]
    assert check("sessions").splitlines()[0] == "sessions"
    assert check("sessions", "sessions").count("wrote, read and deleted") == 1


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


@table(
    ("args", "message"),
    [
        (["nowhere"], "CACHES has no alias 'nowhere'. Give one of: default."),
        (
            ["other"],
            "'other' is 'django.core.cache.backends.dummy.DummyCache'. Give one of: default.",
        ),
        (["--requests", "0"], "'0' is not a whole number of at least 1"),
        (["--requests", "many"], "'many' is not a whole number of at least 1"),
        (["--watch", "0"], "'0' is not a number of seconds from 0.1 to 86400"),
        (["--watch", "nan"], "'nan' is not a number of seconds"),
        (["--watch", "default"], "'default' is not a number of seconds .*. Write aliases before --watch."),
    ],
    afresh=True,
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


def test_wrong_usage_has_an_exit_status_of_its_own() -> None:
    """2, as for every command of Django's: nothing was checked."""
    done = subprocess.run(
        [*COMMAND, "--requests", "0"], check=False, cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert 2 == done.returncode
    assert "'0' is not a whole number of at least 1" in done.stderr


def test_the_system_checks_are_added_on_request(make_cache: MakeCache) -> None:
    """With --deploy, those for deployments too; a warning fails nothing."""
    make_cache(OPTIONS={"SIGN": False})

    assert "system checks" not in check()
    report = check(deploy=True)
    assert "  note  django_momento.W003" in report
    assert "  note  django_momento.W009" in report
    assert "All caches work: default" in report


def test_system_checks_that_are_silenced_are_left_out(make_cache: MakeCache, settings: Any) -> None:
    """A site that knows, and has said so, is not told again."""
    make_cache()
    settings.SILENCED_SYSTEM_CHECKS = ["django_momento.W009"]

    assert "  ok    all                    no remarks" in check(deploy=True)


def test_an_error_of_the_system_checks_fails_the_command(make_cache: MakeCache, settings: Any) -> None:
    """Also where it is of an alias that was not asked for."""
    make_cache()
    settings.CACHES = {**settings.CACHES, "pages": {"BACKEND": BACKEND, "LOCATION": "a"}}
    output = StringIO()

    with pytest.raises(CommandError, match=r"^system checks failed: django_momento.E002$"):
        call_command("momento_check", "default", stdout=output, no_color=True, deploy=True)
    assert "  FAIL  django_momento.E002" in output.getvalue()
    assert "CACHES['pages']" in output.getvalue()


def test_json_has_the_system_checks(make_cache: MakeCache) -> None:
    """With the level and the hint of each."""
    make_cache()
    (found,) = json.loads(check(json=True, deploy=True))["checks"]

    assert ("django_momento.W009", "warning") == (found["id"], found["level"])
    assert "CACHES['default']" in found["message"]
    assert found["hint"]


def test_an_environment_in_which_forks_hang_is_always_remarked(
    make_cache: MakeCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server that runs this command is where it would happen."""
    make_cache()
    monkeypatch.setenv("GRPC_ENABLE_FORK_SUPPORT", "0")

    assert "  note  django_momento.W007    GRPC_ENABLE_FORK_SUPPORT is '0'" in check()
    (found,) = json.loads(check(json=True))["checks"]
    assert "django_momento.W007" == found["id"]
