"""The recipe with signals, on a real database: what a save forgets, and when."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from django.core.management import call_command
from django.db import transaction
from django.db.models.signals import post_delete, post_save
from django.template import Context, Engine
from django.utils.safestring import mark_safe

from tests.docs.conftest import Apply
from tests.docs.pages import blocks
from tests.kit.databases import sqlite_databases


@pytest.fixture(autouse=True)
def _recipe(apply: Apply, tmp_path: Path, django_db_blocker: Any) -> Iterator[None]:
    (recipe,) = (each for each in blocks("docs/how-to/invalidate.md") if "@receiver" in each.text)
    receivers = list(post_save.receivers), list(post_delete.receivers)
    # Sentry, which other tests start in this process, wants to know the module of a receiver.
    namespace: dict[str, Any] = {"__name__": "invalidation", "cache": cache}
    with sqlite_databases(tmp_path, django_db_blocker):
        call_command("migrate", verbosity=0)
        exec(compile(recipe.text, "invalidate.md", "exec"), namespace)
        yield
    post_save.receivers, post_delete.receivers = receivers
    for signal in (post_save, post_delete):
        signal.sender_receivers_cache.clear()


class Rollback(Exception):
    """Ends a block of atomic()."""


def name_of(pk: int) -> Any:
    return cache.get_or_set(f"name:{pk}", lambda: User.objects.get(pk=pk).username, 60, tags=[f"user:{pk}"])  # type: ignore[call-arg]  # the cache is ours


def test_a_save_forgets_the_values_of_its_object_when_it_is_committed() -> None:
    """Not before, because another process would store the old row again, and not after a rollback."""
    ada, grace = User.objects.create(username="ada"), User.objects.create(username="grace")
    assert (name_of(ada.pk), name_of(grace.pk)) == ("ada", "grace")

    with suppress(Rollback), transaction.atomic():
        User(pk=ada.pk, username="rolled back").save()
        raise Rollback
    assert cache.get(f"name:{ada.pk}") == "ada"

    with transaction.atomic():
        User(pk=ada.pk, username="lovelace").save()
        assert cache.get(f"name:{ada.pk}") == "ada"
    assert cache.get(f"name:{ada.pk}") is None
    assert (name_of(ada.pk), cache.get(f"name:{grace.pk}")) == ("lovelace", "grace")

    ada.delete()
    assert cache.get(f"name:{ada.pk}") is None


def test_a_fragment_is_rendered_again_after_its_tag_is_invalidated() -> None:
    """And stays safe text."""
    (block,) = (each for each in blocks("docs/how-to/invalidate.md") if "render_to_string" in each.text)
    namespace: dict[str, Any] = {"cache": cache}
    exec(compile(block.text, "invalidate.md", "exec"), namespace)
    fragments = iter(["<b>1</b>", "<b>2</b>"])
    namespace["render_to_string"] = lambda name: mark_safe(next(fragments))
    page = Engine().from_string("{{ sidebar }}{{ sidebar }}")

    def show() -> str:
        return page.render(Context({"sidebar": namespace["sidebar"]}))

    assert [show(), show()] == ["<b>1</b><b>1</b>"] * 2
    cache.invalidate_tags("products")  # type: ignore[attr-defined]  # a cache of ours
    assert show() == "<b>2</b><b>2</b>"
