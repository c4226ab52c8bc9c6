"""The Python blocks of each page, run in their order like one module, on a real Momento server."""

from __future__ import annotations

import asyncio
import inspect
import subprocess
import sys
from pathlib import Path
from types import FunctionType
from typing import Any

import pytest
from django.conf import settings
from django.contrib.sessions.backends.cache import SessionStore
from django.core.cache import caches
from django.http import HttpResponse
from django.test import RequestFactory

from django_momento.conf.loading import parse
from tests.docs.conftest import ENCRYPTION_KEY, Apply
from tests.docs.pages import PAGES, ROOT, Block, all_blocks, blocks

# Followed as a whole by test_tutorial.
TUTORIAL = "docs/tutorial/"
WITH_PYTHON = sorted({block.page for block in all_blocks("python") if not block.page.startswith(TUTORIAL)})


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:6379/0")
    monkeypatch.setenv("CACHE_URL", "momento://my-cache?credentials=embedded")
    monkeypatch.setenv("CACHE_ENCRYPTION_KEY", ENCRYPTION_KEY)
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.parametrize("page", WITH_PYTHON)
def test_the_code_of_a_page_runs(page: str, apply: Apply, tmp_path: Path) -> None:
    """Settings are accepted and used, code runs, assertions hold, and each view responds."""
    namespace: dict[str, Any] = {"__name__": "documented", "INSTALLED_APPS": []}
    for block in blocks(page):
        if block.language != "python":
            continue
        if block.text.startswith('"'):
            check_fragment(block)
        elif block.caption:
            write(tmp_path, block)
        elif "gevent" in block.text:
            run_apart(block.text)
        else:
            run(block, namespace, apply)
    assert {*namespace["INSTALLED_APPS"]} <= {*settings.INSTALLED_APPS}
    for name, view in namespace.items():
        if is_view(view):
            assert respond(view).status_code == 200, f"{page}: {name}()"


def run(block: Block, namespace: dict[str, Any], apply: Apply) -> None:
    before = dict(namespace)
    code = "\n" * block.line + block.text
    exec(compile(code, block.page, "exec", dont_inherit=True), namespace)
    apply(
        {name: value for name, value in namespace.items() if name.isupper() and before.get(name) is not value}
    )
    for alias in caches.settings:
        caches[alias].set("written", [alias])
        assert [alias] == caches[alias].get("written"), f"{block}: {alias}"


def check_fragment(block: Block) -> None:
    """Check a piece of an alias, such as `"OPTIONS": {...}`."""
    fragment = eval("{" + block.text.replace(", ...}", "}") + "}")
    fragment["OPTIONS"].setdefault("CREDENTIALS", "embedded")
    parse("default", "my-cache", fragment)


def write(directory: Path, block: Block) -> None:
    """Write the file that a block is, and import it unless it is for another program to read."""
    path = directory / block.caption
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(block.text)
    compile(block.text, block.caption, "exec")
    if path.parent != directory:
        module = block.caption.removesuffix(".py").replace("/", ".")
        run_apart(f"import {module}", directory)


def run_apart(code: str, directory: Path = ROOT) -> None:
    subprocess.run([sys.executable, "-c", code], cwd=directory, check=True, timeout=120)


def is_view(value: object) -> bool:
    if not isinstance(value, FunctionType) or value.__globals__.get("__name__") != "documented":
        return False
    return [*inspect.signature(value).parameters] == ["request"]


def respond(view: Any) -> HttpResponse:
    request = RequestFactory().get("/")
    request.session = SessionStore()
    response = view(request)
    result: HttpResponse = asyncio.run(response) if inspect.iscoroutine(response) else response
    return result


def test_the_tests_shown_pass(tmp_path: Path) -> None:
    """The fixture and the tests of the page on testing, as files of a project of their own."""
    for block in blocks("docs/how-to/develop-and-test.md"):
        if block.caption:
            (tmp_path / block.caption).write_text(block.text)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--ds=tests.docs.settings",
        str(tmp_path),
    ]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 0, ran.stdout
    assert "4 passed" in ran.stdout


def test_every_block_has_a_language_that_is_checked() -> None:
    """A block in another language would be one that nothing holds to the truth."""
    checked = {"python", "sh", "json", "yaml", "dockerfile", "text"}
    every = [block for page in PAGES for block in blocks(page)]
    assert [] == [str(block) for block in every if block.language not in checked]
