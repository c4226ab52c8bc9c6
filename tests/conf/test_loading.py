"""What an alias comes to, where that is more than its options: encryption keys from the secret."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import caches
from django.views.debug import ExceptionReporter

from django_momento.cache import MomentoCache
from django_momento.client import operations
from django_momento.client.registry import clients
from django_momento.env import Env
from django_momento.exceptions import ConfigurationError, CredentialError
from django_momento.local import LocalServer
from django_momento.redaction import SecretStr
from tests.kit.aws import KEYS, report, shown_of
from tests.kit.tables import table
from tests.kit.waiting import HANG_GUARD


def new_key() -> str:
    return base64.b64encode(os.urandom(32)).decode()


@pytest.fixture
def secret(tmp_path: Path, momento: LocalServer, settings: Any) -> Path:
    """A file with a secret, and CACHES that takes both keys from it."""
    path = tmp_path / "momento.json"
    options = {"CREDENTIALS": "file", "API_KEY_FILE": str(path), "ENCRYPTION_KEY": "secret"}
    settings.CACHES = {
        "default": {
            "BACKEND": "django_momento.cache.MomentoCache",
            "LOCATION": "tests",
            "OPTIONS": {**options, "ENDPOINT": momento.address, "CLIENT_TIMEOUT": HANG_GUARD},
        }
    }
    write(path, encryption_key=new_key())
    return path


def write(path: Path, **fields: str) -> None:
    path.write_text(json.dumps({"api_key": "a-key", **fields}))


def cache() -> MomentoCache:
    made = caches["default"]
    assert isinstance(made, MomentoCache)
    return made


def raw(key: str) -> bytes:
    """What Momento holds under a key of the cache."""
    ours = cache()
    data = clients.get(ours.options.connection).run("tests", operations.get(ours.make_key(key).encode()))
    assert data is not None
    return data


def test_values_are_encrypted_with_the_key_that_came_with_the_api_key(secret: Path) -> None:
    """What is stored shows nothing of the value, and reads back."""
    cache().set("key", "a telling value")
    assert b"telling" not in raw("key")
    assert "a telling value" == cache().get("key")


def test_async_verbs_take_the_key_from_the_secret_too(secret: Path) -> None:
    """Also as the first call of a cold process, whose event loop must not wait for the secret."""

    async def main() -> Any:
        await cache().aset("key", "a telling value")
        assert ["key"] == list(await cache().aget_many(["key"]))
        return await cache().aget("key")

    assert "a telling value" == asyncio.run(main())


def test_a_new_process_with_the_old_key_second_reads_what_it_wrote(secret: Path) -> None:
    """As with keys in the settings, the first encrypts and all decrypt."""
    old = json.loads(secret.read_text())["encryption_key"]
    cache().set("key", "value")
    write(secret, encryption_key=f"{new_key()},{old}")
    clients.close()
    assert "value" == cache().get("key")


def test_keys_that_are_replaced_while_the_process_runs_are_used(
    secret: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The codec follows the credential in use."""
    cache().set("key", "value")
    client = clients.get(cache().options.connection)
    client.transport.credential = replace(client.get_credential(), encryption_keys=SecretStr(new_key()))
    assert "nothing" == cache().get("key", "nothing")
    cache().set("key", "another")
    assert "another" == cache().get("key")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "is not there"),
        ({"encryption_key": "c2hvcnQ="}, "holds a key of 5 bytes"),
        ({"encryption_key": "!"}, "not base64"),
    ],
)
def test_a_secret_without_a_usable_key_says_so(secret: Path, fields: dict[str, str], words: str) -> None:
    """The message says where the key belongs and how one is made, and nothing of what was found."""
    write(secret, **fields)
    with pytest.raises(CredentialError, match=words) as failed:
        cache().set("key", "value")
    assert "openssl rand -base64 32" in failed.value.fix
    assert "c2hvcnQ" not in str(failed.value)


ENCRYPTION_KEY = "c2l4dGVlbiBieXRlcyE9c2l4dGVlbiBieXRlcyE9"
VALID_KEY = "c2l4dGVlbiBieXRlcyEhIQ=="


@table(
    ("secret", "config"),
    [
        (KEYS[0], {"LOCATION": KEYS[0]}),
        (KEYS[1], {"KEY_PREFIX": KEYS[1]}),
        (KEYS[0], {"VERSION": KEYS[0]}),
        (KEYS[2], {"VERSION": [KEYS[2]]}),
        (KEYS[3], {"KEY_FUNCTION": KEYS[3]}),
        (KEYS[2], {"OPTIONS": {"CREDENTIALS": "env", "REGION": KEYS[2]}}),
        (KEYS[3], {"OPTIONS": {"SECRET_ID": [KEYS[3]]}}),
        (ENCRYPTION_KEY, {"OPTIONS": {"CREDENTIALS": "env", "ENCRYPTION_KEY": ENCRYPTION_KEY}}),
        (VALID_KEY, {"OPTIONS": {"CREDENTIALS": "env", "ENCRYPTION_KEY": VALID_KEY, "MAX_TTL": 0}}),
        (VALID_KEY, {"LOCATION": "a\n", "OPTIONS": {"CREDENTIALS": "env", "ENCRYPTION_KEY": VALID_KEY}}),
        (
            VALID_KEY,
            {"OPTIONS": {"CREDENTIALS": "embedded", "ENCRYPTION_KEY": VALID_KEY, "SERIALIZER": "a.b"}},
        ),
    ],
    afresh=True,
)
@table("verb", ["set", "aset", "get", "set_many", "check_settings"], afresh=True)
def test_no_frame_of_a_refused_alias_shows_a_secret(
    settings: Any, secret: str, config: dict[str, Any], verb: str
) -> None:
    """Debug pages and error trackers print each frame's local variables, and debug pages all settings."""
    alias = {"BACKEND": "django_momento.cache.MomentoCache", "LOCATION": "tests"}
    settings.CACHES = {"default": {**alias, "OPTIONS": {"CREDENTIALS": "env"}, **config}}

    verbs: dict[str, Callable[[], object]] = {
        "set": lambda: caches["default"].set("key", "value"),
        "aset": lambda: asyncio.run(cache().aset("key", "value")),
        # A missing key is not decoded, so a serializer that cannot be imported is not missed either.
        "get": lambda: (caches["default"].get("key"), cache().check_settings()),
        "set_many": lambda: caches["default"].set_many({"key": "value"}),
        "check_settings": lambda: cache().check_settings("default"),
    }

    with pytest.raises(ConfigurationError) as refused:
        verbs[verb]()

    # This test's own frame knows the secret.
    below = refused.tb.tb_next
    assert below is not None
    reporter = ExceptionReporter(None, refused.type, refused.value.with_traceback(below), below)
    pages = reporter.get_traceback_html() + reporter.get_traceback_text() + report(refused.value)
    assert [] == shown_of(secret, pages)


def test_a_pasted_key_that_is_masked_stays_the_same_setting(settings: Any) -> None:
    """The mask is a matter of ``repr``: the alias is refused again, and the value compares as before."""
    alias = {"BACKEND": "django_momento.cache.MomentoCache", "LOCATION": KEYS[0], "OPTIONS": {}}
    settings.CACHES = {"default": alias}
    for _ in range(2):
        with pytest.raises(ConfigurationError, match=r"\['LOCATION'\] holds a Momento API key"):
            cache().check_settings()
    assert KEYS[0] == alias["LOCATION"]
    assert "eyJ" not in repr(alias)


class ExtraCache(MomentoCache):
    """A site's own backend, with an option of its own."""

    extra_options = {"TENANT": "main"}


class MixedCache(ExtraCache):
    """A subclass of a subclass, with one more."""

    extra_options = {"COLOUR": None}


class ChangedCache(MomentoCache):
    """A backend that takes its option out, and names a cache for each tenant, before it calls its base."""

    def __init__(self, location: str, params: dict[str, Any]) -> None:
        options = {**params["OPTIONS"]}
        super().__init__(f"{location}-{options.pop('TENANT')}", {**params, "OPTIONS": options})


def own(backend: type, **options: Any) -> dict[str, Any]:
    path = f"{backend.__module__}.{backend.__qualname__}"
    return {"BACKEND": path, "LOCATION": "tests", "OPTIONS": {"CREDENTIALS": "env", **options}}


def test_a_subclass_can_have_options_of_its_own(settings: Any) -> None:
    """With a default, inherited, and beside all others, of which none is lost."""
    settings.CACHES = {
        "default": own(ExtraCache),
        "north": own(ExtraCache, TENANT="north", MAX_TTL=60),
        "mixed": own(MixedCache, COLOUR=["red"]),
    }

    loaded = {alias: caches[alias].options for alias in settings.CACHES}  # type: ignore[attr-defined]  # the caches are ours

    assert {"TENANT": "main"} == loaded["default"].extra
    assert ({"TENANT": "north"}, 60.0) == (loaded["north"].extra, loaded["north"].max_ttl)
    assert {"TENANT": "main", "COLOUR": ["red"]} == loaded["mixed"].extra
    assert [*settings.CACHES] == [options.alias for options in loaded.values()]


def test_a_misspelled_option_of_a_subclass_is_refused(settings: Any) -> None:
    """The nearest name is looked for among its own options, too."""
    settings.CACHES = {"default": own(ExtraCache, TENNANT="north")}

    with pytest.raises(ConfigurationError, match=r"unknown setting 'TENNANT'\. Did you mean 'TENANT'\?"):
        cache().check_settings()


class ListedCache(MomentoCache):
    """A backend whose options have no defaults."""

    extra_options = ("TENANT",)  # type: ignore[assignment]  # on purpose


class TakenCache(MomentoCache):
    """A backend with an option that each has already."""

    extra_options = {"MAX_TTL": 5}


@table(
    ("backend", "words"),
    [(ListedCache, "is not a dict"), (TakenCache, "has MAX_TTL, which every")],
    afresh=True,
)
def test_a_wrong_declaration_of_options_is_refused(settings: Any, backend: type, words: str) -> None:
    """The message names the class, and the system check shows it."""
    settings.CACHES = {"default": own(backend)}

    with pytest.raises(ConfigurationError, match=rf"{backend.__name__}\.extra_options {words}"):
        cache().check_settings()


@table("alias", ["default", "pages"], afresh=True)
def test_a_subclass_that_changes_its_settings_keeps_its_alias(settings: Any, alias: str) -> None:
    """Messages name the alias in CACHES, whatever the backend makes of its settings."""
    settings.CACHES = {"default": own(MomentoCache), alias: own(ChangedCache, TENANT="north")}

    ours = caches[alias]
    assert isinstance(ours, MomentoCache)
    ours.check_settings(alias)

    assert (alias, "tests-north") == (ours.options.alias, ours.options.cache_name)
    again = caches.create_connection(alias)
    assert isinstance(again, MomentoCache)
    assert alias == again.options.alias


def test_an_alias_whose_backend_is_not_installed_does_not_disturb_the_others(settings: Any) -> None:
    """Django imports a backend when its alias is first used."""
    options = {"CREDENTIALS": "embedded"}
    settings.CACHES = {
        "absent": {"BACKEND": "no_such_package.cache.Cache"},
        "default": {
            "BACKEND": "django_momento.cache.MomentoCache",
            "LOCATION": "my-cache",
            "OPTIONS": options,
        },
    }
    cache = caches["default"]
    assert isinstance(cache, MomentoCache)
    assert cache.options.alias == "default"


def test_a_cache_that_is_in_no_alias_says_so(settings: Any) -> None:
    """A cache that somebody made directly must not be taken for one in CACHES."""
    settings.CACHES = {"default": own(MomentoCache)}

    made = MomentoCache("another", {"OPTIONS": {"CREDENTIALS": "env"}})

    assert "(not in CACHES)" == made.options.alias


@pytest.mark.parametrize("url", ["momento://tests?credentials=env&tenant=north&max_ttl=1m"])
def test_a_url_takes_the_options_of_a_subclass(settings: Any, url: str) -> None:
    """Only the backend can tell them from misspelled ones."""
    path = f"{ExtraCache.__module__}.{ExtraCache.__qualname__}"
    settings.CACHES = {"default": Env.cache_url_config(url, backend=path)}

    assert ({"TENANT": "north"}, 60.0) == (cache().options.extra, cache().options.max_ttl)


def test_settings_do_not_show_their_secrets_once_the_app_is_ready(tmp_path: Path) -> None:
    """Frames of Django and of a site hold them too: here KEY_FUNCTION cannot be imported."""
    options = {"CREDENTIALS": "env", "ENCRYPTION_KEY": VALID_KEY}
    alias = {"BACKEND": "django_momento.cache.MomentoCache", "LOCATION": "a", "KEY_FUNCTION": "no.such"}
    (tmp_path / "secret_settings.py").write_text(
        "SECRET_KEY = 'x'\nINSTALLED_APPS = ['django_momento']\n"
        f"CACHES = {{'default': { ({**alias, 'OPTIONS': options})!r}}}\n"
    )
    (tmp_path / "debug_page.py").write_text(
        "import sys, django; django.setup()\n"
        "from django.core.cache import caches\n"
        "from django.views.debug import ExceptionReporter\n"
        "try:\n    caches['default'].get('key')\n"
        "except ImportError:\n    print(ExceptionReporter(None, *sys.exc_info()).get_traceback_html())\n"
    )
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "secret_settings"}
    environment["PYTHONPATH"] = os.pathsep.join([str(tmp_path), str(Path.cwd())])
    page = subprocess.run(
        [sys.executable, str(tmp_path / "debug_page.py")],
        check=True,
        env=environment,
        capture_output=True,
        text=True,
    ).stdout

    assert "KEY_FUNCTION" in page
    assert [] == shown_of(VALID_KEY, page)


A_URL = "CACHES['default'] is the text of a cache URL, but Django expects a dict."


@table(
    ("configured", "cause"),
    [
        ({"default": "momento://my-cache?credentials=env"}, A_URL),
        ({"default": "momento-local://127.0.0.1:8080/my-cache"}, A_URL),
        ({"default": "'momento://a'"}, A_URL),
        ({"default": "MOMENTO://a"}, A_URL),
        ("momento://a", A_URL),
        ({"default": "redis://a"}, "CACHES['default'] is 'redis://a', but Django expects a dict."),
        ({"default": ""}, "CACHES['default'] is '', but Django expects a dict."),
        ({"default": None}, "CACHES['default'] is None, but Django expects a dict."),
    ],
    afresh=True,
)
@table("arguments", [["check"], ["migrate"], ["momento_check"]], afresh=True)
def test_a_value_in_place_of_the_dict_of_an_alias_is_explained(
    tmp_path: Path, configured: object, cause: str, arguments: list[str]
) -> None:
    """Django's own checks read each alias as a dict, and run before most commands."""
    (tmp_path / "url_settings.py").write_text(
        "SECRET_KEY = 'x'\nINSTALLED_APPS = ['django_momento']\nMEDIA_ROOT = '/media'\n"
        f"CACHES = {configured!r}\n"
        "DATABASES = {'default': {'ENGINE': 'django.db.backends.sqlite3', 'NAME': ':memory:'}}\n"
    )
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "url_settings"}
    environment["PYTHONPATH"] = os.pathsep.join([str(tmp_path), str(Path.cwd())])
    ended = subprocess.run(
        [sys.executable, "-m", "django", *arguments],
        check=False,
        env=environment,
        capture_output=True,
        text=True,
    )

    assert 0 != ended.returncode
    said = ended.stdout + ended.stderr
    assert cause in said
    assert "Env.cache_url_config(url)" in said
    assert "Traceback" not in said
