"""The simple commands of shell blocks. Each part of a pipe, a chain or a substitution is one command."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import NamedTuple

_ENDS = {"|", "||", "&&", ";", "&"}
_REDIRECTIONS = {">", ">>", "<"}
SUBSTITUTED = "SUBSTITUTED"


class Command(NamedTuple):
    """``variables`` stand before the words, or are all there is."""

    variables: dict[str, str]
    words: list[str]


def commands(text: str) -> Iterator[Command]:
    """Return the commands of a block, inner commands first."""
    text = text.replace("\\\n", " ")
    while (start := text.find("$(")) >= 0:
        end = _closing(text, start + 2)
        yield from commands(text[start + 2 : end])
        text = text[:start] + SUBSTITUTED + text[end + 1 :]
    for line in text.splitlines():
        yield from _simple_commands(line)


def _closing(text: str, start: int) -> int:
    depth, quote = 1, ""
    for position in range(start, len(text)):
        character = text[position]
        if quote or character in "'\"":
            quote = "" if character == quote else quote or character
        elif character in "()":
            depth += 1 if character == "(" else -1
            if not depth:
                return position
    raise AssertionError(f"no end of $({text[start:]}")


def _simple_commands(line: str) -> Iterator[Command]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;<>")
    lexer.whitespace_split = True
    words: list[str] = []
    for word in lexer:
        if word in _ENDS:
            yield _command(words)
            words = []
        else:
            words.append(word)
    if words:
        yield _command(words)


def _command(words: list[str]) -> Command:
    for number, word in enumerate(words):
        if word in _REDIRECTIONS:
            words = words[:number] + words[number + 2 :]
            break
    variables: dict[str, str] = {}
    if words[:1] == ["export"]:
        return Command(dict(word.split("=", 1) for word in words[1:] if "=" in word), [])
    while words and "=" in words[0] and words[0].split("=", 1)[0].isidentifier():
        name, value = words[0].split("=", 1)
        variables[name] = value
        words = words[1:]
    return Command(variables, words)
