"""Print the changelog's section for a tag, or say why this checkout must not be released under it.

    python .ci/release_notes.py v1.2.3

Exit status 1, and the reason on standard error, if the package has another version, or if the changelog has
no section for it with a date and something in it. Knows nothing of GitHub or of an index.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


class NotReady(Exception):
    """What has to be done before this version can be released, as a sentence."""


def release_notes(tag: str, package: str, changelog: str) -> str:
    """Answer the body of the version's section. Raises NotReady."""
    version = version_of(package)
    if tag != f"v{version}":
        raise NotReady(f"The tag is {tag}, but django_momento.__version__ is {version}.")
    heading = re.search(rf"^## {re.escape(version)} - (.+)\n", changelog, re.MULTILINE)
    if heading is None:
        raise NotReady(f"CHANGELOG.md has no section '## {version} - YYYY-MM-DD'.")
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", heading[1]):
        raise NotReady(f"CHANGELOG.md says '{heading[1]}' of {version}; it should say the day.")
    notes = re.split(r"^## ", changelog[heading.end() :], maxsplit=1, flags=re.MULTILINE)[0].strip()
    if not notes:
        raise NotReady(f"CHANGELOG.md says nothing about {version}.")
    return notes


def version_of(package: str) -> str:
    """Answer ``__version__``, read and not imported: nothing is installed when a release begins."""
    found = re.search(r'^__version__ = "(.+)"$', package, re.MULTILINE)
    if found is None:
        raise NotReady("django_momento/__init__.py has no __version__.")
    return found[1]


def main(tag: str) -> None:
    package = (ROOT / "django_momento" / "__init__.py").read_text(encoding="utf-8")
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    try:
        sys.stdout.write(release_notes(tag, package, changelog) + "\n")
    except NotReady as reason:
        sys.exit(str(reason))


if __name__ == "__main__":
    main(*sys.argv[1:])
