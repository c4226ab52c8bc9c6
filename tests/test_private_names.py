"""Tests reach the package through its public names only, so that its inside can change without them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import django_momento
from tests.kit.tables import table

PACKAGE = Path(django_momento.__file__).parent
TESTS = Path(__file__).parent
PRIVATE = re.compile(r"_(?!_)\w+")

# Momento's protocol generates message classes with such names. Named tuples have public methods with them.
PUBLIC = re.compile(r"_[A-Z][a-z]\w*|_asdict|_fields|_make|_replace")


def defined_names(source: str) -> Iterator[str]:
    """Yield the names of the functions, classes, constants and attributes that a module defines."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr


def used_names(source: str) -> Iterator[str]:
    """Yield the names that a module takes from others: imports, attributes, and texts for monkeypatch."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.Attribute):
            if not (isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")):
                yield node.attr
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(
            ("attr", "patch", "patch.object")
        ):
            texts = (each.value for each in node.args if isinstance(each, ast.Constant))
            yield from (text.rpartition(".")[2] for text in texts if isinstance(text, str))


def private_names(names: Iterator[str]) -> set[str]:
    return {name for name in names if PRIVATE.fullmatch(name) and not PUBLIC.fullmatch(name)}


@table(
    "source",
    [
        "from django_momento.cache import _verb",
        "cache._verb()",
        "monkeypatch.setattr(module, '_verb', 1)",
        "monkeypatch.setattr('django_momento.cache._verb', 1)",
    ],
)
def test_each_way_to_a_private_name_is_found(source: str) -> None:
    assert private_names(used_names(source)) == {"_verb"}


def test_no_test_uses_a_private_name_of_the_package() -> None:
    ours: set[str] = set()
    for path in PACKAGE.rglob("*.py"):
        ours |= private_names(defined_names(path.read_text(encoding="utf-8")))
    used = {
        path.relative_to(TESTS).as_posix(): private_names(used_names(path.read_text(encoding="utf-8"))) & ours
        for path in TESTS.rglob("*.py")
    }
    assert {path: names for path, names in used.items() if names} == {}
