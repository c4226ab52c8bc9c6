"""Sphinx directives that write reference pages from the code, so that they cannot differ from it.

- ``momento-options`` lists the option table.
- ``momento-foreign-options`` lists the options of other backends with their replacements.
- ``momento-command`` lists a management command's arguments, from its own parser.
- ``momento-layers`` lists the import layers of setup.cfg, with the first sentence of each module's docstring.
- ``momento-figures`` lists the constants that users meet.
- ``momento-costs`` lists the operations of each method, by the rule that the meter applies.
"""

from __future__ import annotations

import argparse
import ast
import configparser
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from django.core.management import load_command_class
from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from django_momento.client import operations as verbs
from django_momento.client.calls import Call, Operation
from django_momento.client.claims import claim
from django_momento.client.metering import operations
from django_momento.conf.foreign import FOREIGN_OPTIONS
from django_momento.conf.options import CREDENTIAL_SOURCES, OPTIONS, Option
from django_momento.policies.limits import Hit
from django_momento.policies.versions import Versions

ROOT = Path(__file__).parents[2]

# Around each choice, in what an option allows.
QUOTE = "'"

# What Django gives every command is in Django's documentation.
_DJANGOS = {
    "--version",
    "--verbosity",
    "--settings",
    "--pythonpath",
    "--traceback",
    "--no-color",
    "--force-color",
    "--skip-checks",
}

# Constants that users meet: module, name, unit and meaning.
FIGURES = (
    ("client.calls", "MAX_ITEM_BYTES", "bytes", "the largest item: key and value as they are stored"),
    ("client.operations", "MAX_CHUNK_KEYS", "keys", "the most in one call of `get_many` or `set_many`"),
    ("client.operations", "MAX_CHUNK_BYTES", "bytes", "the most in one call of `set_many`"),
    ("client.operations", "MAX_CONCURRENT_CALLS", "calls", "the most calls of `delete_many` in flight"),
    ("client.batching", "MAX_BATCHED_KEYS", "keys", "the most gets of one turn of an event loop in one call"),
    ("client.channel", "MAX_IDLE", "seconds", "without a call, after which a connection is replaced"),
    ("client.breaker", "FAILURE_THRESHOLD", "calls", "unavailable in a row that open the circuit breaker"),
    ("client.breaker", "INITIAL_BACKOFF", "seconds", "at most before the first probe"),
    ("client.breaker", "MAX_BACKOFF", "seconds", "at most between two probes"),
    (
        "credentials.boundary",
        "FETCH_TIMEOUT",
        "seconds",
        "at most for a fetch of the API key, from any source",
    ),
    ("client.transport", "PROBE_TIMEOUT", "seconds", "at most for a probe"),
    (
        "client.rotation",
        "INITIAL_BACKOFF",
        "seconds",
        "at most before a refused key is fetched a second time",
    ),
    ("client.rotation", "MAX_BACKOFF", "seconds", "at most between two such fetches"),
    ("client.rotation", "LOOK_EVERY", "seconds", "between two checks of `API_KEY_FILE`"),
    ("events", "PAUSE", "seconds", "between two warnings about one kind of event on one cache"),
    ("client.fork_gate", "MAX_WAIT", "seconds", "the longest that a fork waits for calls in flight"),
    (
        "codec.protection",
        "MAX_PROTECTED_BYTES",
        "bytes",
        "the largest decompressed signed or encrypted value",
    ),
    (
        "codec.protection",
        "MAX_UNPROTECTED_BYTES",
        "bytes",
        "the largest decompressed value of any other kind",
    ),
)


class Written(SphinxDirective):
    """A directive whose content is the reStructuredText that ``lines`` returns."""

    def lines(self) -> Iterable[str]:
        raise NotImplementedError

    def run(self) -> list[nodes.Node]:
        return self._parsed([*self.lines()])

    def _parsed(self, lines: list[str]) -> list[nodes.Node]:
        # In a page of MyST the parser at hand is Markdown's, and would not read this.
        from docutils.parsers.rst.states import RSTStateMachine, state_classes
        from sphinx.util.docutils import new_document

        document = new_document(self.get_source_info()[0], self.state.document.settings)
        document.settings.env = self.env
        RSTStateMachine(state_classes=state_classes, initial_state="Body").run(
            StringList(lines, source="code_reference"), document
        )
        return list(document.children)


class Options(Written):
    """Every key of OPTIONS, as a ``confval`` that pages can refer to."""

    def lines(self) -> Iterator[str]:
        for option in OPTIONS.values():
            yield from _option_lines(option)


def _option_lines(option: Option) -> Iterator[str]:
    yield f".. confval:: {option.name}"
    yield ""
    yield f"   {code(_sentence(option.help))}"
    yield ""
    yield f"   | Default: {code(option.default) or 'none'}."
    yield f"   | Allowed: {code(option.type.allowed.replace(QUOTE, '`'))}."
    if option.type.in_url:
        yield f"   | In a URL: {option.type.in_url}."
    if option.sources:
        sources = (f"``{it}``" if it in CREDENTIAL_SOURCES else it for it in option.sources)
        yield f"   | With ``CREDENTIALS``: {', '.join(sources)}."
    yield ""


class ForeignOptions(Written):
    """The options of other cache backends, each with its replacement here."""

    def lines(self) -> Iterator[str]:
        rows = (
            (
                option.backend,
                ", ".join(f"``{name}``" for name in option.names),
                _link_options(option.replacement),
            )
            for option in FOREIGN_OPTIONS
        )
        return list_table(("backend", "its options", "here"), rows, ":widths: auto")


def _link_options(text: str) -> str:
    """Return a text whose names of options are links to them, and whose quoted values are code."""
    text = re.sub(r"'([^']+)'", r"``\1``", text)
    return re.sub(r"\b[A-Z]+_?[A-Z_]+\b", lambda m: f":confval:`{m[0]}`" if m[0] in OPTIONS else m[0], text)


def code(text: str) -> str:
    return text.replace("`", "``")


def list_table(headings: Sequence[str], rows: Iterable[Sequence[str]], *options: str) -> Iterator[str]:
    """Yield the lines of a table."""
    yield ".. list-table::"
    yield "   :header-rows: 1"
    yield from (f"   {option}" for option in options)
    yield ""
    for row in (headings, *rows):
        yield f"   * - {row[0]}"
        yield from (f"     - {cell}" for cell in row[1:])


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:] + "." if text[0].isalpha() else f"{text}."


class Command(Written):
    """A management command of ours: what it says of itself, its usage and each argument."""

    required_arguments = 1

    def lines(self) -> Iterator[str]:
        name = self.arguments[0]
        command = load_command_class("django_momento", name)
        parser = command.create_parser("manage.py", name)
        actions = [action for action in parser._actions if not _is_djangos(action)]  # noqa: SLF001 - argparse has no public name for it
        yield command.help
        yield ""
        yield f".. program:: {name}"
        for action in actions:
            yield ""
            yield f".. option:: {_spelling(action)}"
            yield ""
            # Expanded as argparse does it: %(default)s is the default.
            yield f"   {_sentence(parser._get_formatter()._expand_help(action).rstrip('.'))}"  # noqa: SLF001 - argparse has no public name for it


def _is_djangos(action: argparse.Action) -> bool:
    return isinstance(action, argparse._HelpAction) or bool(_DJANGOS & {*action.option_strings})  # noqa: SLF001 - argparse has no public name for it


def _spelling(action: argparse.Action) -> str:
    if not action.option_strings:
        return str(action.metavar or action.dest)
    value = "" if action.nargs == 0 else f" {action.metavar or action.dest.upper()}"
    return ", ".join(f"{name}{value}" for name in action.option_strings)


class Layers(Written):
    """The layers that import-linter holds the package to, from the top, each with its modules' purposes."""

    def lines(self) -> Iterator[str]:
        yield ".. list-table::"
        yield "   :header-rows: 1"
        yield "   :widths: auto"
        yield ""
        yield "   * - layer"
        yield "     - module"
        yield "     - purpose"
        for number, row in enumerate(layers(), 1):
            for position, module in enumerate(module for name in row for module in modules(name)):
                yield f"   * - {'' if position else number}"
                yield f"     - ``{module}``"
                yield f"     - {purpose(module)}"


def layers() -> list[list[str]]:
    """Return the rows of setup.cfg's contract, from the top: the packages and modules of each."""
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(ROOT / "setup.cfg")
    rows = parser["importlinter:contract:layers"]["layers"].strip().splitlines()
    names = [[name.strip(" ()") for name in row.split(":")] for row in rows]
    return [[name for name in row if _source(name).is_file()] for row in names]


def modules(name: str) -> list[str]:
    """Return a module's name, or that of a package and of each module in it that says its purpose."""
    package = _source(name).parent
    within = (
        sorted(path.stem for path in package.glob("[!_]*.py")) if _source(name).stem == "__init__" else []
    )
    return [name, *(f"{name}.{module}" for module in within)]


def purpose(module: str) -> str:
    """Return the first sentence of a module's docstring, or nothing if it has none."""
    docstring = ast.get_docstring(ast.parse(_source(module).read_text())) or ""
    return docstring.split("\n\n")[0].replace("\n", " ")


def _source(module: str) -> Path:
    path = ROOT / "django_momento" / module.replace(".", "/")
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


class Figures(Written):
    """The constants that users meet, as they are in the code."""

    def lines(self) -> Iterator[str]:
        return list_table(("figure", "meaning", "constant"), self._rows())

    def _rows(self) -> Iterator[tuple[str, str, str]]:
        for module, name, unit, meaning in FIGURES:
            value = getattr(import_module(f"django_momento.{module}"), name)
            figure = f"{value:,g} {unit}" if isinstance(value, float) else f"{value:,} {unit}"
            yield figure, code(meaning), f"``{module}.{name}``"


SMALL, LARGE = 900, 14_000
HIT, MISS = b"hit", b"miss"
TEN = [b"%d" % number for number in range(10)]
Verbs = Callable[[bytes], list[Operation[Any]]]

# Methods, each with the verbs that it runs for a value of this size.
COSTS: tuple[tuple[str, Verbs], ...] = (
    ("``get``, a hit", lambda value: [verbs.get(HIT)]),
    ("``get``, a miss", lambda value: [verbs.get(MISS)]),
    ("``set``, ``add``", lambda value: [verbs.set(HIT, value, 1000)]),
    ("``touch``, ``expire``, ``has_key``, ``ttl``", lambda value: [verbs.touch(HIT, 1000)]),
    ("``delete``", lambda value: [verbs.delete(HIT)]),
    ("``incr``, ``decr``", lambda value: [verbs.incr(HIT, 1)]),
    ("``get_or_set``, a hit", lambda value: [verbs.get(HIT)]),
    ("``get_or_set``, a miss", lambda value: [verbs.get(MISS), verbs.add(MISS, value, 1000)]),
    ("``get_many`` of ten keys", lambda value: [verbs.get_many(TEN)]),
    ("``set_many`` of ten keys", lambda value: [verbs.set_many(dict.fromkeys(TEN, value), 1000)]),
    ("``delete_many`` of ten keys", lambda value: [verbs.delete_many(TEN)]),
    ("``incr_version``", lambda value: [verbs.incr_version(HIT, MISS, bytes)]),
    ("``rate_limit``", lambda value: [Hit(HIT, 5, 60, 3600, 1, "allow").count("costs")]),
    ("``run_once``, and each attempt to acquire a lock", lambda value: [claim(HIT, b"token", 1000)]),
    ("``invalidate_tags`` of one tag", lambda value: [Versions().replace([HIT], 1000)]),
)


def cost(verb: Operation[Any], value: bytes) -> int:
    """Return the operations of a verb whose keys, except ``MISS``, have a value."""

    def result(call: Call[Any]) -> Any:
        results: dict[str, Callable[[Any], Any]] = {
            "Get": lambda call: None if call.key == MISS else value,
            "GetBatch": lambda call: [value for _ in call.keys],
            "SetBatch": lambda call: [True for _ in call.items],
            "KeysExist": lambda call: [True for _ in call.keys],
            "ItemGetTtl": lambda call: 1000,
            "Increment": lambda call: 1,
            "DictionaryIncrement": lambda call: 1,
            "SetIf": lambda call: True,
            "UpdateTtl": lambda call: True,
            "SetIfNotExists": lambda call: True,
        }
        return results[call.rpc](call) if call.rpc in results else None

    total, request = 0, next(verb, None)
    while request is not None:
        calls: list[Any] = request if isinstance(request, list) else [request]
        outcomes = [result(call) for call in calls]
        total += sum(operations(call, outcome) for call, outcome in zip(calls, outcomes, strict=True))
        try:
            request = verb.send(outcomes if isinstance(request, list) else outcomes[0])
        except StopIteration:
            request = None
    return total


class Costs(Written):
    """The operations of each method, for a small and for a large value."""

    def lines(self) -> Iterator[str]:
        rows = (
            (
                method,
                *(str(sum(cost(verb, bytes(size)) for verb in run(bytes(size)))) for size in (SMALL, LARGE)),
            )
            for method, run in COSTS
        )
        return list_table(("method", "operations, for values up to 1 KiB", "for values of 14 KB"), rows)


def indented_is_code(
    app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]
) -> None:
    """Show what a docstring indents as it stands: reStructuredText would take it for a quotation."""
    shown: list[str] = []
    for line in lines:
        starts = line.startswith("    ") and shown and not shown[-1] and "::" not in shown[-3:]
        shown += ["::", "", line] if starts else [line]
    lines[:] = shown


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("autodoc-process-docstring", indented_is_code)
    app.add_directive("momento-options", Options)
    app.add_directive("momento-foreign-options", ForeignOptions)
    app.add_directive("momento-command", Command)
    app.add_directive("momento-layers", Layers)
    app.add_directive("momento-figures", Figures)
    app.add_directive("momento-costs", Costs)
    return {"parallel_read_safe": True}
