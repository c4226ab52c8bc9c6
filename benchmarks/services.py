"""The servers that a run needs, each a process of its own on a free port of the loopback interface.

Each function is a context manager: the server answers when the block begins and has ended when it is left.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from . import settings

ROOT = Path(__file__).resolve().parent.parent
HOST = "127.0.0.1"
PATIENCE = 60.0


class NotStarted(Exception):
    """A server that the run needs does not start; the message is for the user."""


@contextmanager
def momento_local() -> Iterator[int]:
    command = (sys.executable, "-m", "django", "momento_local", "--port", "0", "--cache", settings.CACHE_NAME)
    with _announcing(*command) as port:
        os.environ["BENCHMARKS_MOMENTO"] = f"{HOST}:{port}"
        yield port


@contextmanager
def redis_server() -> Iterator[int | None]:
    """The system's redis-server, without persistence; None if there is none."""
    if shutil.which("redis-server") is None:
        yield None
        return
    port = free_port()
    with redis_at(port):
        os.environ["BENCHMARKS_REDIS"] = f"redis://{HOST}:{port}/0"
        yield port


@contextmanager
def redis_at(port: int) -> Iterator[None]:
    """The system's redis-server at a port, empty."""
    with (
        tempfile.TemporaryDirectory() as directory,
        _listening(
            port, "redis-server", "--bind", HOST, "--port", str(port), "--save", "", "--appendonly", "no",
            "--dir", directory,
        ),
    ):  # fmt: skip
        yield


@contextmanager
def secrets_manager(api_key: str) -> Iterator[int]:
    """moto's Secrets Manager with the API key in it, where boto3 looks for it by itself."""
    import boto3

    port = free_port()
    with _listening(port, sys.executable, "-m", "moto.server", "-H", HOST, "-p", str(port)):
        os.environ |= {
            "AWS_ENDPOINT_URL_SECRETS_MANAGER": f"http://{HOST}:{port}",
            "AWS_ACCESS_KEY_ID": "benchmark",
            "AWS_SECRET_ACCESS_KEY": "benchmark",
            "AWS_DEFAULT_REGION": "us-west-2",
        }
        client = boto3.session.Session().client("secretsmanager")
        client.create_secret(Name=settings.SECRET_ID, SecretString=api_key)
        client.close()
        yield port


@contextmanager
def secrets_agent() -> Iterator[int]:
    """The tests' AWS Workload Credentials Provider, before moto's, where a site looks for it."""
    os.environ["AWS_TOKEN"] = "a-token-of-the-benchmarks"  # noqa: S105 - it protects nothing
    with _announcing(sys.executable, "-m", "tests.kit.agent") as port:
        os.environ["PARAMETERS_SECRETS_EXTENSION_HTTP_PORT"] = str(port)
        yield port


@contextmanager
def delayed(port: int, round_trip: float) -> Iterator[int]:
    """A proxy to ``port`` that adds ``round_trip`` seconds to every round trip; answers its port."""
    command = (sys.executable, "-m", "benchmarks.delay", str(port), str(round_trip))
    with _announcing(*command) as proxy_port:
        yield proxy_port


@contextmanager
def _announcing(*command: str) -> Iterator[int]:
    """A server whose first line of output ends in ``HOST:PORT``."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:  # noqa: S603 - commands of this module
        try:
            assert process.stdout is not None  # noqa: S101 - for mypy: it was asked for above
            line = process.stdout.readline()
            if not line:
                raise NotStarted(f"This did not start: {' '.join(command)}")
            yield int(line.rpartition(":")[2])
        finally:
            process.terminate()


@contextmanager
def _listening(port: int, *command: str) -> Iterator[None]:
    """A server that has started when it takes connections."""
    with subprocess.Popen(  # noqa: S603 - commands of this module
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=ROOT
    ) as process:
        try:
            deadline = time.monotonic() + PATIENCE
            while not _answers(port):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise NotStarted(f"This did not start: {' '.join(command)}")
                time.sleep(0.05)
            yield
        finally:
            process.terminate()


def _answers(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex((HOST, port)) == 0


def free_port() -> int:
    """Return a port that is free at the moment."""
    with socket.socket() as server:
        server.bind((HOST, 0))
        return int(server.getsockname()[1])
