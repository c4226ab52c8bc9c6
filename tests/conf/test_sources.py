"""Sources of the API key: the options that each needs, and those that it refuses."""

from __future__ import annotations

from typing import Any

from django_momento.conf.options import CALLABLE, OPTIONS
from tests.kit.parsing import SOURCES, parsed, refusal
from tests.kit.tables import table


@table("source", SOURCES)
def test_the_least_a_source_needs_is_enough(source: str) -> None:
    """Each credential source works with its one line of OPTIONS."""
    expected = SOURCES[source].get("CREDENTIALS", "secretsmanager")

    assert expected == parsed(**SOURCES[source]).connection.credentials


@table("given", [{}, {"REGION": "eu-west-1"}, {"ENDPOINT": "cell.example"}])
def test_options_without_a_source_of_the_key_are_refused(given: dict[str, Any]) -> None:
    """Nothing guesses where the key is; the message offers every way to say it."""
    message = refusal({"OPTIONS": given})

    assert "CACHES['pages']['OPTIONS'] does not say where the Momento API key comes from." in message
    assert "SECRET_ID" in message
    assert "CREDENTIALS: 'agent', 'env', 'file', 'local', 'embedded', or the dotted path of a" in message


def test_a_site_without_options_is_told_what_is_missing() -> None:
    """The first try of a new user often has no OPTIONS at all."""
    assert "SECRET_ID" in refusal({})


@table(
    ("source", "name"), [("secretsmanager", "SECRET_ID"), ("agent", "SECRET_ID"), ("file", "API_KEY_FILE")]
)
def test_a_source_without_what_it_needs_is_refused(source: str, name: str) -> None:
    """The source alone does not say which secret, or which file."""
    message = refusal({"OPTIONS": {"CREDENTIALS": source}})

    assert f"CREDENTIALS {source!r} but no {name}. Give {name}, " in message


@table(
    ("source", "name"),
    [
        (source, option.name)
        for source in SOURCES
        for option in OPTIONS.values()
        if option.sources and source not in option.sources
    ],
)
def test_an_option_of_another_source_is_refused(source: str, name: str) -> None:
    """An option that would be ignored is a misunderstanding, and better said than kept."""
    given = {"ENDPOINT": "127.0.0.1:8080", "AGENT_FALLBACK": True}.get(name, "value")
    message = refusal({"OPTIONS": {"CREDENTIALS": source, **SOURCES[source], name: given}})

    credentials = SOURCES[source].get("CREDENTIALS", source)
    others = [other if other == CALLABLE else repr(other) for other in OPTIONS[name].sources]
    assert f"CACHES['pages']['OPTIONS']['{name}'] has no meaning with CREDENTIALS '{credentials}'" in message
    assert f"set CREDENTIALS to {' or '.join(others)}." in message


def test_momento_local_needs_a_port() -> None:
    """A cell's endpoint is not where momento-local listens."""
    message = refusal({"OPTIONS": {"CREDENTIALS": "local", "ENDPOINT": "cell.example"}})

    assert "CACHES['pages']['OPTIONS']['ENDPOINT'] is 'cell.example', without a port." in message
    assert "'127.0.0.1:8080'" in message


@table("certificates", [{}, {"ROOT_CERTIFICATES": __file__}])
@table("host", ["momento", "10.0.0.1", "[fe80::1]", "127.0.0.1", "0.0.0.0", "localhost"])
def test_a_local_server_may_be_on_any_host(host: str, certificates: dict[str, str]) -> None:
    """No key goes there. With certificates to trust, TLS serves the port."""
    options = parsed(CREDENTIALS="local", ENDPOINT=f"{host}:8080", **certificates)

    assert options.connection.endpoint is not None
    assert bool(certificates) is not options.connection.endpoint.is_plaintext
    assert str(options.connection.endpoint) == f"{'https://' if certificates else ''}{host}:8080"


@table("source", [source for source in SOURCES if source not in ("local", "embedded")])
def test_a_key_goes_to_another_host_by_tls_alone(source: str) -> None:
    """In plaintext it would be sent in the clear."""
    given = {**SOURCES[source], "ENDPOINT": "momento:8443"}

    assert "in the clear" in refusal({"OPTIONS": given})
    for secure in ({"ENDPOINT": "https://momento:8443"}, {"ROOT_CERTIFICATES": __file__}):
        assert "https://momento:8443" == str(parsed(**given | secure).connection.endpoint)
