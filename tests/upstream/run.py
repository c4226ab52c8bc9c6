"""Run the test suites of other packages, from the sdists of what is installed, on this backend.

    python -m tests.upstream.run [distribution ...]

Each sdist is downloaded once, by pip, and kept in ``.cache``. Exit status 1 if a suite fails in other tests
than those that ``suites`` gives a reason for, or if it made no use of the cache.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from importlib.metadata import version
from pathlib import Path

from django_momento.local import LocalServer
from tests.upstream.suites import SUITES, Suite

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache" / "upstream"
ON_PATH = Path(__file__).resolve().parent / "on_path"

# "FAIL: test_x (tests.y.Z.test_x)" by unittest, "FAILED tests/y.py::Z::test_x - reason" by pytest.
FAILURE = re.compile(r"^(?:FAIL|ERROR): (\w+)|^(?:FAILED|ERROR) \S+::(\w+)", re.MULTILINE)


def unpacked(distribution: str) -> Path:
    """Return the folder of the sdist of the installed version, downloaded if it is not there yet."""
    kept = CACHE / f"{distribution}-{version(distribution)}"
    if not kept.exists():
        with tempfile.TemporaryDirectory() as folder:
            download = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
            download += ["--no-deps", "--no-binary", distribution, "--dest", folder]
            subprocess.run([*download, f"{distribution}=={version(distribution)}"], check=True)
            (sdist,) = Path(folder).glob("*.tar.gz")
            unpack(sdist, kept)
    (root,) = kept.iterdir()
    return root


def unpack(sdist: Path, kept: Path) -> None:
    """Unpack beside the final place and rename, so that an interrupted run leaves nothing half done."""
    partial = kept.with_name(f"{kept.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    with tarfile.open(sdist) as archive:
        archive.extractall(partial, filter="data")
    partial.rename(kept)


def failures(suite: Suite, momento: LocalServer) -> set[str]:
    """Run a suite and answer the names of the tests that failed; what it prints is shown as it comes."""
    folder = unpacked(suite.distribution) / suite.folder
    # Theirs first: most of them have a package `tests`, as the checkout has.
    path = os.pathsep.join(map(str, [folder, ON_PATH, ROOT]))
    ours = {"PYTHONPATH": path, "SUITE_SETTINGS": suite.settings, "MOMENTO_ADDRESS": momento.address}
    momento.reset_calls()
    process = subprocess.Popen(
        [sys.executable, *suite.command],
        cwd=folder,
        env={**os.environ, **ours},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        sys.stdout.write(line)
        lines.append(line)
    failed = {first or second for first, second in FAILURE.findall("".join(lines))}
    if process.wait() and not failed:
        return {"the suite itself"}
    return failed if momento.calls or suite.has_own_server else failed | {"the use of the cache"}


def main(wanted: list[str]) -> int:
    unexpected = []
    with LocalServer(create_missing_caches=True) as momento:
        for suite in SUITES:
            if not wanted or suite.distribution in wanted:
                names = failures(suite, momento) ^ suite.known_failures.keys()
                unexpected.append((suite.distribution, names))
    for distribution, names in unexpected:
        outcome = "as expected" if not names else f"not as expected: {', '.join(sorted(names))}"
        sys.stdout.write(f"{distribution} {version(distribution)}: {outcome}\n")
    return int(any(names for _, names in unexpected))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
