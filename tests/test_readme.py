"""What the README says is what the code does."""

from __future__ import annotations

import re
from inspect import iscoroutinefunction
from pathlib import Path

from django_momento.cache import MomentoCache
from django_momento.conf.options import OPTIONS

# What the face has beside Django's verbs.
NOT_VERBS = {"get_backend_timeout", "options", "check_settings"}

README = (Path(__file__).parents[1] / "README.md").read_text()


def option_table() -> str:
    """Write the option table as Markdown."""
    rows = ["| option | default | meaning |", "|---|---|---|"]
    for option in OPTIONS.values():
        meaning = option.help
        if option.type.allowed.startswith("one of ") and option.name not in {"CONFIGURATION", "READ_CONCERN"}:
            choices = option.type.allowed.removeprefix("one of ").replace("'", "`")
            meaning = f"{meaning}: {choices}"
        rows.append(f"| `{option.name}` | {option.default or 'none'} | {meaning} |")
    return "\n".join(rows)


def test_the_option_table_is_the_parsers() -> None:
    """Every option is documented with the words it is defined with."""
    begin, end = re.escape("<!-- options: begin"), re.escape("<!-- options: end -->")
    documented = re.search(rf"{begin}.*?-->\n(.*?)\n?{end}", README, re.DOTALL)
    assert documented is not None
    assert option_table() == documented.group(1)


def test_every_method_is_in_the_verb_table() -> None:
    """A method of the face that is not documented has not been thought about."""
    table = README.split("## What each method does")[1].split("###")[0]
    public = {name for name in vars(MomentoCache) if not name.startswith("_")} - NOT_VERBS
    async_twins = {name for name in public if iscoroutinefunction(getattr(MomentoCache, name))}
    assert [verb for verb in public - async_twins if f"`{verb}`" not in table] == []
