"""The contracts of setup.cfg catch each kind of import that they forbid, in a copy of the package."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.kit.tables import table

ROOT = Path(__file__).parents[1]

ROWS = "A module imports only from its own row and the rows below it"
GRPC = "Only the transport's modules and local import gRPC and Momento's SDK"
AWS = "Only credentials.secrets_manager imports AWS's SDK"
DJANGO = "The client and the credentials import no Django"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Return a folder with a copy of the package and of setup.cfg, for a test to change."""
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "django_momento", tmp_path / "django_momento", ignore=ignored)
    shutil.copy(ROOT / "setup.cfg", tmp_path)
    return tmp_path


@contextmanager
def changed(path: Path, text: str) -> Iterator[None]:
    """Append a text to a file, which may be a new one, for a while."""
    before = path.read_text(encoding="utf-8") if path.exists() else None
    is_new_package = not path.parent.exists()
    path.parent.mkdir(exist_ok=True)
    path.write_text((before or "") + text, encoding="utf-8")
    try:
        yield
    finally:
        if before is not None:
            path.write_text(before, encoding="utf-8")
        elif is_new_package:
            shutil.rmtree(path.parent)
        else:
            path.unlink()


def broken_contracts(folder: Path) -> set[str]:
    """Return the names of the contracts that lint-imports finds broken in a folder."""
    linter = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as run; run()"]
    environment = {**os.environ, "PYTHONPATH": str(folder), "NO_COLOR": "1", "COLUMNS": "200"}
    done = subprocess.run(
        [*linter, "--no-cache"], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    lines = [line.strip() for line in done.stdout.splitlines()]
    broken = {line.partition(" BROKEN")[0] for line in lines if " BROKEN" in line}
    assert any(" KEPT" in line for line in lines), done.stdout + done.stderr
    assert bool(broken) == bool(done.returncode), done.stdout + done.stderr
    return broken


def test_the_package_keeps_every_contract(copy: Path) -> None:
    """A copy without a forbidden import passes, so that each failure below is due to its import."""
    assert broken_contracts(copy) == set()


@table(
    ("module", "statement", "contract"),
    [
        # The four that the contracts of module names once let pass.
        ("client/transport.py", "import django.core.cache", DJANGO),
        ("client/rotation.py", "import grpc", GRPC),
        ("client/fork_gate.py", "import boto3", AWS),
        ("local/errors.py", "from django_momento.client import retry", ROWS),
        # The other halves of each contract, and other ways to write an import.
        ("cache.py", "import grpc.aio", GRPC),
        ("checks.py", "from momento.errors import SdkException", GRPC),
        ("conf/options.py", "def late():\n    from momento_wire_types import cacheclient_pb2", GRPC),
        ("credentials/file.py", "import momento", GRPC),
        ("credentials/agent.py", "from botocore import session", AWS),
        ("local/__init__.py", "import boto3", AWS),
        ("credentials/credential.py", "from django.conf import settings", DJANGO),
        # One import upwards from each row.
        ("cache.py", "from . import checks", ROWS),
        ("client/operations.py", "from .. import cache", ROWS),
        ("credentials/embedded.py", "from ..client import registry", ROWS),
        ("conf/types.py", "from ..credentials import api_key", ROWS),
        ("codec/codec.py", "from ..conf import options", ROWS),
        ("redaction.py", "from .codec import codec", ROWS),
        ("local/server.py", "from .. import exceptions", ROWS),
        # New modules and packages, that nobody listed.
        ("client/newcomer.py", "import grpc", GRPC),
        ("client/nested/__init__.py", "import django", DJANGO),
        ("local/newcomer.py", "from ..events import events", ROWS),
    ],
)
def test_a_forbidden_import_breaks_its_contract(
    copy: Path, module: str, statement: str, contract: str
) -> None:
    """Each forbidden import, in a module that exists or in a new one, breaks the contract that forbids it."""
    with changed(copy / "django_momento" / module, f"\n{statement}\n"):
        assert broken_contracts(copy) == {contract}


@table("stray", ["stray.py", "stray/__init__.py"])
def test_a_stray_module_breaks_the_layers(copy: Path, stray: str) -> None:
    """A module or package that no row lists is refused, so that none stands outside the layers."""
    with changed(copy / "django_momento" / stray, ""):
        assert broken_contracts(copy) == {ROWS}
