"""Two things that Sphinx's pages lack for readers with a keyboard or a screen reader.

Code and tables that are too wide for a phone can be scrolled with the keyboard, and a caption in the
navigation, which is marked as a heading, says of which level.
"""

from __future__ import annotations

from typing import Any

from sphinx.application import Sphinx

# After the theme has put the navigation there.
_LAST = 900


def complete(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: object) -> None:
    for name, lacking, complete in (
        ("body", "<pre>", '<pre tabindex="0">'),
        ("body", '<div class="table-wrapper', '<div tabindex="0" class="table-wrapper'),
        ("furo_navigation_tree", 'role="heading"', 'role="heading" aria-level="2"'),
    ):
        if name in context:
            context[name] = context[name].replace(lacking, complete)


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("html-page-context", complete, priority=_LAST)
    return {"parallel_read_safe": True}
