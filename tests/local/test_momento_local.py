"""The management command, as a process of its own and within this one."""

from __future__ import annotations

import io
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import grpc
import pytest
from django.core.cache import caches
from django.core.management import CommandError, call_command
from momento_wire_types import cacheclient_pb2 as pb
from momento_wire_types import cachepubsub_pb2, cachepubsub_pb2_grpc

from django_momento.local import LocalServer
from django_momento.local.limits import ON_DEMAND
from django_momento.local.storage.retention import DEFAULT_MAX_MEMORY
from django_momento.local.tls import TlsFiles
from django_momento.local.units import parse_size
from django_momento.management.commands.momento_local import Command
from tests.kit.certificates import make_certificate
from tests.kit.tables import table
from tests.kit.wire import HANG_GUARD, Wire, status

ROOT = Path(__file__).parents[2]
READY = "Momento Local listening on "


def command(*arguments: Any) -> Any:
    """Run the command as a shell would, with pipes for its output."""
    return subprocess.Popen(
        [sys.executable, "-m", "django", "momento_local", *arguments],
        cwd=ROOT,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


class SignalWhenReady(io.StringIO):
    """An output that sends this process a signal once the server reports that it is listening."""

    def __init__(self, number: Any = signal.SIGTERM) -> None:
        super().__init__()
        self.number = number

    def write(self, text: Any) -> Any:
        written = super().write(text)
        if READY in text:
            signal.raise_signal(self.number)
        return written


@pytest.fixture
def taken_port() -> Any:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_process_serves_until_a_signal_ends_it(number: Any) -> None:
    """It prints one line when ready, serves, and ends with status 0 although a client is connected."""
    with command("--port", "0", "--cache", "cache") as process:
        ready = process.stdout.readline()
        wire = Wire(ready.removeprefix(READY).strip())
        assert wire.Get(pb._GetRequest(cache_key=b"k")).result == pb.Miss
        process.send_signal(number)
        stdout, stderr = process.communicate(timeout=HANG_GUARD)
        wire.channel.close()
    assert (process.returncode, stdout, stderr) == (0, "", "")
    assert ready.startswith(f"{READY}127.0.0.1:")


def test_the_process_ends_with_subscribers_connected() -> None:
    """Their streams end, and nothing is written about it."""
    request = cachepubsub_pb2._SubscriptionRequest(cache_name="cache", topic="t")
    with command("--port", "0", "--cache", "cache") as process:
        wire = Wire(process.stdout.readline().removeprefix(READY).strip())
        stub = cachepubsub_pb2_grpc.PubsubStub(wire.channel)
        streams = [stub.Subscribe(request, timeout=HANG_GUARD * 3) for _ in range(100)]
        assert {next(stream).WhichOneof("kind") for stream in streams} == {"heartbeat"}
        process.terminate()
        stdout, stderr = process.communicate(timeout=HANG_GUARD)
        assert (process.returncode, stdout, stderr) == (0, "", "")
        for stream in streams:
            with pytest.raises(grpc.RpcError):
                list(stream)
        wire.channel.close()


def test_the_process_says_in_one_line_that_its_port_is_taken(taken_port: Any) -> None:
    """One line on stderr, no traceback, status 1."""
    with command("--port", str(taken_port)) as process:
        stdout, stderr = process.communicate(timeout=HANG_GUARD)
    assert (process.returncode, stdout) == (1, "")
    assert stderr == f"CommandError: Cannot listen on 127.0.0.1:{taken_port}: Address already in use\n"


def test_the_help_says_what_it_is_for() -> None:
    """It must not be taken for a production server."""
    with command("--help") as process:
        stdout, _ = process.communicate(timeout=HANG_GUARD)
    text = " ".join(stdout.split())
    assert "for development and tests" in text
    assert "never use it in production" in text


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, Any]]:
    """The arguments of each server that the command makes, by position and by name."""
    made = []

    class Recorded(LocalServer):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            made.append((args, kwargs))
            super().__init__(*args, **kwargs)

    monkeypatch.setattr("django_momento.local.server.LocalServer", Recorded)
    return made


def test_all_arguments_reach_the_server(made: list[tuple[Any, Any]]) -> None:
    """The server gets each value of the command line."""
    arguments = "--host=localhost --port=0 --api-key=a --api-key=b --cache=c --cache=d --max-memory=64M"
    arguments += " --on-demand --rate-limit=7 --replica-lag=50ms --evict=0.01 --admin-port=0"
    call_command("momento_local", *arguments.split(), stdout=SignalWhenReady())
    limits = ON_DEMAND._replace(operations_per_second=7)
    keywords = {"api_keys": ["a", "b"], "caches": ["c", "d"], "max_memory": 64 * 1024**2}
    keywords |= {"limits": limits, "replica_lag": 50, "evict": 0.01, "tls": None, "admin_port": 0}
    assert made == [(("localhost", 0), keywords)]


def test_the_memory_limit_is_that_of_the_server_by_default() -> None:
    """The command's default is typed as a person would, and means the same."""
    default = Command().create_parser("manage.py", "momento_local").get_default("max_memory")
    assert parse_size(default) == DEFAULT_MAX_MEMORY


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_one_line_is_all_the_output(number: Any) -> None:
    """Nothing else goes to stdout, and nothing to stderr."""
    stdout, stderr = SignalWhenReady(number), io.StringIO()
    call_command("momento_local", port=0, stdout=stdout, stderr=stderr)
    assert [line.rpartition(":")[0] for line in stdout.getvalue().splitlines()] == [
        "Momento Local listening on 127.0.0.1"
    ]
    assert stderr.getvalue() == ""


def test_interrupting_works_where_the_loop_takes_no_signals(monkeypatch: pytest.MonkeyPatch) -> None:
    """On Windows Ctrl-C arrives as KeyboardInterrupt, and ends the server no less quietly."""

    def refuse(self, *args: Any) -> None:
        raise NotImplementedError

    monkeypatch.setattr("asyncio.SelectorEventLoop.add_signal_handler", refuse)
    stderr = io.StringIO()
    call_command("momento_local", port=0, stdout=SignalWhenReady(signal.SIGINT), stderr=stderr)
    assert stderr.getvalue() == ""


def test_a_taken_port_is_a_command_error(taken_port: Any) -> None:
    """Whoever calls the command from code gets Django's own error."""
    with pytest.raises(CommandError, match=f"^Cannot listen on 127.0.0.1:{taken_port}: "):
        call_command("momento_local", port=taken_port)


@table(
    ("option", "value", "message"),
    [
        ("max_memory", "lots", "'lots' is not a size greater than 0"),
        ("api_keys", [""], "An API key must not be empty"),
        ("caches", [""], "A cache name must not be empty"),
        ("port", 65536, "the port must be between 0 and 65535"),
        ("rate_limit", 0, "The limit of operations per second must be greater than 0, not 0"),
        ("replica_lag", "50", "'50' is not a duration"),
        ("evict", 2.0, "The share of items to evict must be 0 to 1, not 2"),
        ("tls_cert", "cert.pem", "--tls-cert and --tls-key belong together"),
    ],
)
def test_a_bad_argument_is_a_command_error(option: Any, value: Any, message: Any) -> None:
    """It names the mistake, and nothing is served."""
    with pytest.raises(CommandError, match=message):
        call_command("momento_local", **{"port": 0, option: value})


def test_certificate_and_key_together_mean_tls(made: list[tuple[Any, Any]], tmp_path: Path) -> None:
    """Neither means none."""
    files = make_certificate(tmp_path, "127.0.0.1")
    call_command(
        "momento_local", port=0, tls_cert=files.certificate, tls_key=files.key, stdout=SignalWhenReady()
    )
    call_command("momento_local", port=0, stdout=SignalWhenReady())
    expected = [TlsFiles(files.certificate, files.key), None]
    assert [keywords["tls"] for _, keywords in made] == expected


@table(
    ("options", "warned"),
    [
        ({"host": "0.0.0.0"}, True),
        ({"host": "0.0.0.0", "api_keys": ["key"]}, False),
        ({"host": "127.0.0.1"}, False),
    ],
)
def test_a_server_open_to_other_machines_is_warned_about(options: Any, warned: Any) -> None:
    """One line on stderr, unless a key is needed or no other machine can reach it."""
    stderr = io.StringIO()
    call_command("momento_local", port=0, stdout=SignalWhenReady(), stderr=stderr, **options)
    expected = "Warning: other machines can reach 0.0.0.0 and any API key is accepted; see --api-key.\n"
    assert stderr.getvalue() == (expected if warned else "")


def test_a_key_given_is_the_only_one_accepted() -> None:
    """On the command line as in code."""
    with command("--port", "0", "--cache", "cache", "--api-key", "right") as process:
        wire = Wire(process.stdout.readline().removeprefix(READY).strip())
        request = pb._GetRequest(cache_key=b"k")
        assert wire.Get(request, authorization="right").result == pb.Miss
        assert status(wire.Get, request, authorization="wrong") == grpc.StatusCode.UNAUTHENTICATED
        wire.channel.close()
        process.terminate()
        process.communicate(timeout=HANG_GUARD)


def own_address() -> str:
    """Return an address of this machine by which others reach it, or 127.0.0.2 if it has no network."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # Choosing a route sends nothing.
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return "127.0.0.2"
        return str(probe.getsockname()[0])


@pytest.mark.parametrize(("tls", "key"), [(False, ""), (True, ""), (True, "a-key-of-this-server")])
@pytest.mark.parametrize("admin", [False, True])
def test_another_container_can_use_it(
    tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch, tls: bool, key: str, admin: bool
) -> None:
    """This backend reaches a server on 0.0.0.0 by its address, in plaintext or by a trusted certificate.

    Over TLS it may send a key as well.
    """
    host = own_address()
    options = {"CREDENTIALS": "local", "CLIENT_TIMEOUT": HANG_GUARD}
    arguments = ["--host", "0.0.0.0", "--port", "0", "--cache", "shared", *(["--admin-port", "0"] * admin)]
    if tls:
        files = make_certificate(tmp_path, host)
        arguments += ["--tls-cert", files.certificate, "--tls-key", files.key]
        options["ROOT_CERTIFICATES"] = files.certificate
    if key:
        arguments += ["--api-key", key]
        options["CREDENTIALS"] = "env"
        monkeypatch.setenv("MOMENTO_API_KEY", key)
    with command(*arguments) as process:
        port = process.stdout.readline().strip().rpartition(":")[2]
        options["ENDPOINT"] = f"{host}:{port}"
        backend = "django_momento.cache.MomentoCache"
        settings.CACHES = {"default": {"BACKEND": backend, "LOCATION": "shared", "OPTIONS": options}}
        cache = caches["default"]
        cache.set_many({"a": 1, "b": 2})
        assert (cache.get("a"), cache.get_many(["a", "b"])) == (1, {"a": 1, "b": 2})
        process.terminate()
        process.communicate(timeout=HANG_GUARD)
