"""What a run was run on: figures without it mean nothing."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import subprocess
from datetime import datetime, timezone
from pathlib import Path

PACKAGES = (
    "Django", "asgiref", "momento", "momento-wire-types", "grpcio", "protobuf", "boto3", "redis", "hiredis",
    "django-redis", "uvicorn", "h11",
)  # fmt: skip


def described() -> dict[str, str]:
    """Return the machine, the versions and the load at this moment, each by its name."""
    return {
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "machine": f"{os.cpu_count()} x {_processor()}, {platform.system()} {platform.release()}",
        "load before": load(),
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        **{name: _version(name) for name in PACKAGES},
        "redis-server": _redis_server(),
        "django-momento": _revision(),
    }


def load() -> str:
    """Return how busy the machine was in the last 1, 5 and 15 minutes."""
    return " ".join(f"{average:.2f}" for average in os.getloadavg())


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _redis_server() -> str:
    program = shutil.which("redis-server")
    if program is None:
        return "not installed: the Redis contenders are left out"
    output = _output(program, "--version")
    return next((word[2:] for word in output.split() if word.startswith("v=")), output)


def _revision() -> str:
    import django_momento

    changed = " with changes" if _output("git", "status", "--porcelain", "django_momento") else ""
    revision = _output("git", "rev-parse", "--short", "HEAD")
    return f"{django_momento.__version__} at {revision or 'no commit'}{changed}"


def _output(*command: str) -> str:
    try:
        done = subprocess.run(  # noqa: S603 - commands of this module
            command, capture_output=True, text=True, check=False, cwd=Path(__file__).parent.parent
        )
    except OSError:
        return ""
    return done.stdout.strip()
