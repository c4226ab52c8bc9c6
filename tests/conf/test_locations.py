"""LOCATION: the name of one Momento cache, and why any other text is refused."""

from __future__ import annotations

from django_momento.conf.loading import parse
from tests.kit.parsing import SOURCES, refusal
from tests.kit.tables import table


@table("location", ["", " ", None, 1, b"my-cache", ["a", "b"], ("a",), {}])
def test_a_location_that_names_no_cache_is_refused(location: object) -> None:
    """LOCATION is one Momento cache; Django answers an empty string where there is none."""
    message = refusal({"OPTIONS": SOURCES["env"]}, location)

    assert f"CACHES['pages']['LOCATION'] must be the name of a Momento cache, not {location!r}." in message


@table(
    ("location", "hint"),
    [
        ("my-cache\n", "printable ASCII"),
        ("my\rcache", "printable ASCII"),
        ("my\x00cache", "printable ASCII"),
        ("my\x1bcache", "printable ASCII"),
        ("größe", "printable ASCII"),
        ("my\u2028cache", "printable ASCII"),
        ("my\ud800cache", "printable ASCII"),
        (" my-cache", "Write 'my-cache'."),
        ("my-cache ", "Write 'my-cache'."),
        ("'my-cache'", "Write 'my-cache'."),
        ('"my-cache"', "Write 'my-cache'."),
        ("redis://127.0.0.1:6379/1", "a URL: Momento's caches have plain names."),
        ("rediss://user:password@cache.example:6379", "another cache backend"),
        ("https://cell.example", "a URL"),
        ("momento://my-cache?credentials=env", "django_momento.env.Env().cache_url()"),
        ("momento-local://127.0.0.1:8080/my-cache", "django_momento.env.Env().cache_url()"),
    ],
)
def test_a_location_that_no_cache_can_have_is_refused(location: str, hint: str) -> None:
    """gRPC would say "invalid metadata" of it, or Momento that there is no such cache."""
    message = refusal({"OPTIONS": SOURCES["env"]}, location)

    assert message.startswith("CACHES['pages']['LOCATION'] is ")
    assert hint in message
    assert message.isascii()
    assert message.isprintable()


def test_a_password_in_a_location_is_not_shown() -> None:
    """A URL of Redis may hold one."""
    assert "hunter2" not in refusal({"OPTIONS": SOURCES["env"]}, "redis://:hunter2@127.0.0.1:6379/1")


@table("location", ["my-cache", "My_Cache.2", "a b", "a/b", "a:b", "a" * 255, "127.0.0.1"])
def test_a_location_of_printable_ascii_is_taken(location: str) -> None:
    """Momento decides whether there is such a cache."""
    assert location == parse("pages", location, {"OPTIONS": SOURCES["env"]}).cache_name
