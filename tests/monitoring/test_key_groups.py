"""Key groups: the part of a key that events show."""

from __future__ import annotations

from django_momento.events import CallEvent
from tests.conftest import MakeCache
from tests.kit.tables import table


def _first_letter(key: str) -> str:
    if key == "broken":
        raise ValueError
    return key[0]


def test_key_group_names_the_groups(make_cache: MakeCache, seen: list[CallEvent]) -> None:
    """And a key for which it raises is of the group `other`."""
    cache = make_cache(OPTIONS={"KEY_GROUP": f"{__name__}._first_letter"})
    for key in ("abc", "xyz", "broken"):
        cache.get(key)
    assert [event.key_group for event in seen] == ["a", "x", "other"]


def test_at_most_a_hundred_groups_are_told_apart(make_cache: MakeCache, seen: list[CallEvent]) -> None:
    cache = make_cache(alias="bounded")
    cache.get_many([f"group{number}:k" for number in range(3)])
    for number in range(150):
        cache.get(f"group{number}:k")
    groups = {event.key_group for event in seen}
    assert len(groups - {"mixed", "other"}) == 100
    assert "other" in groups


@table(
    ("key", "group"),
    [
        ("user:5:name", "user"),
        ("home", "home"),
        ("user_42", "user_..."),
        ("django.contrib.sessions.cacheabcdefxyz12", "django.contrib.sessions.cache"),
        ("django.contrib.sessions.cached_dbabcxyz12", "django.contrib.sessions.cached_db"),
        ("template.cache.sidebar.d41d8cd98f", "template.cache.sidebar"),
        ("views.decorators.cache.cache_page.site.GET.abc", "views.decorators.cache.cache_page"),
        (":x", ""),
        (5, "..."),
    ],
    afresh=True,
)
def test_the_default_group_shows_no_secret_part_of_a_key(
    key: object, group: str, make_cache: MakeCache, seen: list[CallEvent]
) -> None:
    make_cache().get(key)
    assert [event.key_group for event in seen] == [group]
