"""The ``{% cache %}`` tag: fragments of templates, kept under their name and what they vary on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.core.cache import caches
from django.core.cache.utils import make_template_fragment_key
from django.template import Context, Template

from django_momento.cache import MomentoCache
from tests.kit.clock import Clock

TEMPLATE = "{% load cache %}{% cache 60 sidebar user %}{{ user }}: {{ rendered }}{% endcache %}"

Render = Callable[..., str]


@pytest.fixture
def render() -> Render:
    """Render a template, which can say how often one was."""
    rendered = 0

    def render(user: str, template: str = TEMPLATE) -> str:
        nonlocal rendered
        rendered += 1
        return str(Template(template).render(Context({"user": user, "rendered": rendered})))

    return render


def test_a_fragment_is_rendered_until_its_time_is_over(render: Render, clock: Clock) -> None:
    """Once a minute, then again."""
    assert ["ada: 1", "ada: 1"] == [render("ada"), render("ada")]
    clock.advance(61)
    assert render("ada") == "ada: 3"


def test_a_fragment_varies_on_what_it_says(render: Render) -> None:
    """Nobody sees another user's sidebar."""
    assert ["ada: 1", "bob: 2", "ada: 1"] == [render("ada"), render("bob"), render("ada")]


def test_a_fragment_can_be_thrown_away(render: Render, cache: MomentoCache) -> None:
    """Its key is known, and deleting it says whether there was one."""
    render("ada")
    key = make_template_fragment_key("sidebar", ["ada"])
    assert [True, False] == [cache.delete(key), cache.delete(key)]
    assert render("ada") == "ada: 2"


def test_a_fragment_is_the_same_markup_from_the_cache(render: Render) -> None:
    """What was escaped is not escaped again."""
    assert ["&lt;b&gt;: 1", "&lt;b&gt;: 1"] == [render("<b>"), render("<b>")]


def test_an_alias_of_their_own_holds_the_fragments(
    render: Render, cache: MomentoCache, settings: Any
) -> None:
    """The alias `template_fragments` takes them, where there is one."""
    configured = settings.CACHES["default"]
    settings.CACHES = {"default": configured, "template_fragments": {**configured, "KEY_PREFIX": "fragments"}}
    render("ada")
    key = make_template_fragment_key("sidebar", ["ada"])
    assert [True, False] == [caches["template_fragments"].has_key(key), cache.has_key(key)]
    assert render("ada") == "ada: 1"
