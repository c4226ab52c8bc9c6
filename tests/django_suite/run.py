"""Run Django's own cache tests, from the sdist of the installed Django, against this backend.

    python -m tests.django_suite.run

The sdist is downloaded once, by pip, and its ``tests`` folder is kept in ``.cache``.
"""

import multiprocessing
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import django
from django.core.management import execute_from_command_line

SUITES = ("tests.django_suite.momento_tests", "tests.django_suite.dual_tests")
# The tests mostly wait for keys to expire.
PROCESSES = 4
CACHE = Path(__file__).resolve().parents[2] / ".cache"


def django_tests() -> Path:
    """Return the ``tests`` folder of the installed Django's sdist, downloaded if it is not there yet."""
    version = django.get_version()
    kept = CACHE / f"django-{version}"
    if not kept.exists():
        with tempfile.TemporaryDirectory() as folder:
            download = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
            download += ["--no-deps", "--no-binary", "django", "--dest", folder, f"django=={version}"]
            subprocess.run(download, check=True)
            (sdist,) = Path(folder).glob("*.tar.gz")
            unpack(sdist, kept)
    (tests,) = kept.glob("*/tests")
    return tests


def unpack(sdist: Path, kept: Path) -> None:
    """Unpack beside the final place and rename, so that an interrupted run leaves nothing half done."""
    partial = kept.with_name(f"{kept.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    with tarfile.open(sdist) as archive:
        members = [member for member in archive if "/tests/cache/" in member.name]
        archive.extractall(partial, members, filter="data")
    partial.rename(kept)


if __name__ == "__main__":
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.django_suite.settings"
    sys.path.insert(0, str(django_tests()))
    # Without forks, as on macOS, Django's runner has one process.
    is_parallel = multiprocessing.get_start_method() == "fork"
    parallel = ["--parallel", str(PROCESSES)] if is_parallel else []
    execute_from_command_line(["django-admin", "test", *SUITES, *parallel, *sys.argv[1:]])
