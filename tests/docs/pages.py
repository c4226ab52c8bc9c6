"""The blocks and tables of the documentation's pages, by the parser of the site."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[2]
PAGES = {
    str(path.relative_to(ROOT)): path
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
    if "_" not in {part[0] for part in path.relative_to(ROOT).parts}
}

# Directives for Sphinx. The build of the site runs them.
_SPHINXS = ("{toctree}", "{eval-rst}", "{image}", "{momento-")
_CODE_BLOCK = "{code-block}"


class Block(NamedTuple):
    """A block of code. ``caption`` is the name of its file, if it is a file."""

    page: str
    line: int
    language: str
    text: str
    caption: str = ""

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks(page: str) -> Iterator[Block]:
    for token in MarkdownIt("commonmark").parse(PAGES[page].read_text()):
        if token.type not in ("fence", "code_block") or token.info.startswith(_SPHINXS):
            continue
        assert token.map is not None
        line = token.map[0] + 1
        if token.info.startswith(_CODE_BLOCK):
            options, _, text = token.content.partition("\n\n")
            caption = options.removeprefix(":caption:").strip()
            yield Block(page, line, token.info.removeprefix(_CODE_BLOCK).strip(), text, caption)
        else:
            yield Block(page, line, token.info.strip(), token.content)


def all_blocks(*languages: str) -> list[Block]:
    return [block for page in PAGES for block in blocks(page) if block.language in languages]


def tables(page: str) -> Iterator[list[list[str]]]:
    """Return the tables of a page as rows of cells, headings first."""
    rows: list[list[str]] = []
    for line in [*PAGES[page].read_text().splitlines(), ""]:
        if line.startswith("|"):
            rows.append([cell.strip() for cell in line.strip("|").split(" | ")])
        elif rows:
            yield [rows[0], *rows[2:]]
            rows = []


def table(page: str, heading: str) -> list[list[str]]:
    """Return the rows of the table whose first column has a heading."""
    return next(rows[1:] for rows in tables(f"docs/{page}") if rows[0][0] == heading)
