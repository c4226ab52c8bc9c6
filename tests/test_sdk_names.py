"""Every name of Momento's SDK, its stubs and gRPC that this package uses is there in the versions installed.

CI runs it every week with the newest of them, so that a renamed class is known before it reaches a site.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pytest

import django_momento

PACKAGE = Path(django_momento.__file__).parent
THEIRS = ("momento", "momento_wire_types", "grpc")


class Use(NamedTuple):
    """A name of another package, as a dotted path, and the module of ours that uses it."""

    name: str
    module: str


def uses(source: str, module: str) -> Iterator[Use]:
    """Yield the names that a module imports from their packages, and the attributes it takes from them."""
    tree = ast.parse(source)
    bound: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] in THEIRS:
                    yield Use(alias.name, module)
                    root = alias.name.partition(".")[0]
                    bound[alias.asname or root] = alias.name if alias.asname else root
        elif (
            isinstance(node, ast.ImportFrom)
            and (node.module or "").split(".")[0] in THEIRS
            and not node.level
        ):
            for alias in node.names:
                yield Use(f"{node.module}.{alias.name}", module)
                bound[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and (path := dotted(node)):
            root, _, rest = path.partition(".")
            if root in bound:
                yield Use(f"{bound[root]}.{rest}", module)


def dotted(node: ast.expr) -> str | None:
    """Return the path that an expression of names and attributes spells, or None for another expression."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (path := dotted(node.value)):
        return f"{path}.{node.attr}"
    return None


def find(path: str) -> Any:
    """Return the object at a dotted path. Raises AttributeError or ImportError if it is not there."""
    first, *rest = path.split(".")
    found: Any = import_module(first)
    for position, name in enumerate(rest, 1):
        if not hasattr(found, name) and isinstance(found, ModuleType):
            import_module(".".join([first, *rest[:position]]))
        found = getattr(found, name)
    return found


def all_uses() -> set[Use]:
    """Return every use in the package."""
    return {
        use
        for path in PACKAGE.rglob("*.py")
        for use in uses(path.read_text(encoding="utf-8"), path.relative_to(PACKAGE).as_posix())
    }


def test_every_name_of_theirs_is_there() -> None:
    """Each class, message, status and function that the package names can be imported."""
    missing = []
    for use in sorted(all_uses()):
        try:
            find(use.name)
        except (AttributeError, ImportError) as error:
            missing.append(f"{use.module} uses {use.name}: {error}")
    assert missing == []


def test_the_names_are_public() -> None:
    """None is private, but for the messages of the protocol, which Momento generates with an underscore."""
    private = {
        use
        for use in all_uses()
        if any(part.startswith("_") and not part.endswith("__") for part in use.name.split("."))
        and not use.name.startswith("momento_wire_types.")
    }
    assert private == set()


def test_uses_are_found_however_they_are_written() -> None:
    """An import, an alias, a name from a module and what is taken from each are uses; others are not."""
    source = """
import os
import grpc.aio
import momento.errors as errors
from momento_wire_types import cacheclient_pb2 as pb
def late():
    from momento import CacheClient
    return CacheClient.create, errors.SdkException, pb._GetRequest.FromString, grpc.StatusCode.OK, os.path
"""
    names = {use.name for use in uses(source, "module.py")}
    assert names >= {
        "grpc.aio",
        "grpc.StatusCode.OK",
        "momento.CacheClient.create",
        "momento.errors",
        "momento.errors.SdkException",
        "momento_wire_types.cacheclient_pb2._GetRequest.FromString",
    }
    assert not any(name.startswith("os") for name in names)


def test_a_name_that_is_gone_is_missed() -> None:
    """A name that no longer exists raises, whether it is a module, a class or an attribute."""
    for name in ("momento.nothing", "momento.errors.Nothing", "grpc.StatusCode.NOTHING"):
        with pytest.raises((AttributeError, ImportError)):
            find(name)
