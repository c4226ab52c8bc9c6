"""Somebody in front of the site: what they see and press, and what their browser complains of."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import ConsoleMessage, Locator, Page, Response, expect

Role = Literal["button", "combobox", "link"]

# Width and height in CSS pixels: a desktop, a phone, and the smallest phone there is.
WINDOWS = DESKTOP, PHONE, SMALL_PHONE = (1280, 800), (390, 844), (320, 568)

# Details of the elements that pass take axe-core a quarter of its time.
AXE_OPTIONS = {
    "rules": {"target-size": {"enabled": True}},
    "resultTypes": ["violations", "incomplete"],
}

# A page has fewer places to stop at.
TAB_STOPS = 60

# Chromium's complaint of each answer of 400 and above; the tests that ask for one look at its status.
REFUSAL = re.compile(r"Failed to load resource: the server responded with a status of (403|404|429|503)")


class Visitor:
    """One window. ``errors`` is everything that its console was told, ``addresses`` what it asked for."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.errors: list[str] = []
        self.addresses: list[str] = []
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", lambda request: self.addresses.append(request.url))

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not REFUSAL.match(message.text):
            self.errors.append(message.text)

    def goto(self, path: str) -> Response:
        response = self.page.goto(path)
        assert response is not None
        return response

    @property
    def badges(self) -> list[str]:
        return [text.strip() for text in self.page.locator(".badge").all_inner_texts()]

    @property
    def calls(self) -> dict[str, str]:
        """The page's list of its cache calls: each call, such as ``"get x 2"``, with its answer."""
        rows = self.page.get_by_role("region", name="Cache calls for this page").locator("tbody tr").all()
        calls = [row.get_by_role("rowheader").inner_text() for row in rows]
        answers = [row.get_by_role("cell").first.inner_text().strip() for row in rows]
        return {
            call.replace("\N{MULTIPLICATION SIGN}", "x"): answer
            for call, answer in zip(calls, answers, strict=True)
        }

    def scrolls_sideways(self) -> bool:
        """Whether anything sticks out of the window, to the right of it."""
        return bool(
            self.page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")
        )

    def barriers(self) -> list[str]:
        """What axe-core objects to, or could not decide."""
        with self._without_updates():
            results = Axe().run(self.page, options=AXE_OPTIONS).response
        return [
            f"{rule['id']}: {rule['help']}: {[node['html'] for node in rule['nodes']]}"
            for rule in results["violations"] + results["incomplete"]
        ]

    @contextmanager
    def _without_updates(self) -> Iterator[None]:
        """Let a live page stand still: axe-core goes by an order of its elements that it notes once."""
        pause = self.page.locator("#pause", has_text="Pause updates")
        is_live = pause.count() == 1
        if is_live:
            pause.evaluate("button => button.click()")
        yield
        if is_live:
            self.page.locator("#pause").evaluate("button => button.click()")

    def tab_to(self, role: Role, name: str) -> Locator:
        """Press Tab until this is focused, as somebody without a mouse has to. Return it."""
        wanted = self.page.get_by_role(role, name=name, exact=True)
        for _ in range(TAB_STOPS):
            self.page.keyboard.press("Tab")
            if wanted.evaluate("element => element === document.activeElement"):
                return wanted
        raise AssertionError(f"Tab never came to the {role} {name!r}")

    def press(self, role: Role, name: str, key: str = "Enter") -> None:
        """Go to something with Tab, and press a key on it."""
        self.tab_to(role, name)
        self.page.keyboard.press(key)


def shows(visitor: Visitor, text: str) -> None:
    """Wait until a page shows a text."""
    expect(visitor.page.locator("main")).to_contain_text(text)
