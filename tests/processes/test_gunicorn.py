"""gunicorn, whose master imports the site, and may use its cache, before it forks the workers."""

from __future__ import annotations

import itertools
from collections import Counter
from pathlib import Path
from urllib.request import urlopen

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.kit.processes import Server
from tests.kit.waiting import patience
from tests.processes.requests import ask
from tests.processes.sockets import established

# What gunicorn prints when a worker raises, hangs or is killed, and gRPC when a fork is not safe.
BAD_SIGNS = ("Traceback", "WORKER TIMEOUT", "was sent SIG", "fork()")
LISTENING = r"Listening at: (http://\S+)"


def gunicorn(application: str, *arguments: str, log: Path, address: str, **variables: str) -> Server:
    return Server(
        "gunicorn",
        f"tests.processes.{application}:application",
        *("--bind", "127.0.0.1:0", "--timeout", "120", *arguments),
        log=log,
        address=address,
        **variables,
    )


@pytest.mark.parametrize("worker", [("sync",), ("gthread", "--threads", "4")], ids=lambda worker: worker[0])
@pytest.mark.parametrize("colour", ["sync", "async"])
def test_preloaded_workers_answer_every_request(
    worker: tuple[str, ...], colour: str, address: str, tmp_path: Path
) -> None:
    """The cache works in the master before the fork, in both workers after it, and all end when told to."""
    arguments = ("--preload", "--workers", "2", "--worker-class", *worker)
    with gunicorn("preloaded", *arguments, log=tmp_path / "log", address=address) as server:
        site = server.printed(LISTENING)
        answers = ask(site, colour, range(200))
        numbers = itertools.count(200)
        for _ in patience():
            if len({answer["pid"] for answer in answers}) == 2:
                break
            # One worker may be so much faster than the other that it has answered them all.
            answers += ask(site, colour, itertools.islice(numbers, 20))
        assert len({answer["pid"] for answer in answers}) == 2
        assert {answer["imported"] for answer in answers} == {server.process.pid}
        assert sorted(answer["count"] for answer in answers) == [*range(1, len(answers) + 1)]
        assert server.terminate() == 0
        assert [bad for bad in BAD_SIGNS if bad in server.output] == []


def test_async_views_under_wsgi_share_one_connection(address: str, tmp_path: Path) -> None:
    """Under WSGI every request to an async view has its own event loop, but no connection of its own."""
    arguments = ("--worker-class", "gthread", "--threads", "8")
    with gunicorn("wsgi", *arguments, log=tmp_path / "log", address=address) as server:
        site = server.printed(LISTENING)
        counts = []
        for hundred in range(10):
            answers = ask(site, "async", range(hundred * 100, hundred * 100 + 100))
            (pid,) = {answer["pid"] for answer in answers}
            counts.append(established(pid, address))
        assert counts == [1] * 10
        # The sync verbs are the SDK's own, on its connection.
        ask(site, "sync", range(100))
        assert established(pid, address) == 2
        assert server.terminate() == 0


def test_a_scrape_of_any_worker_adds_up_the_calls_of_all(address: str, tmp_path: Path) -> None:
    """In the multiprocess mode of prometheus_client."""
    (tmp_path / "metrics").mkdir()
    variables = {
        "OBSERVERS": "django_momento.monitoring.prometheus.observe",
        "PROMETHEUS_MULTIPROC_DIR": str(tmp_path / "metrics"),
    }
    log = tmp_path / "log"
    with gunicorn("metrics", "--workers", "2", log=log, address=address, **variables) as server:
        site = server.printed(LISTENING)
        answers = ask(site, "sync", range(50))
        numbers = itertools.count(50)
        for _ in patience():
            if len({answer["pid"] for answer in answers}) == 2:
                break
            answers += ask(site, "sync", itertools.islice(numbers, 20))
        with urlopen(f"{site}/metrics") as response:
            families = [*text_string_to_metric_families(response.read().decode())]
        calls: Counter[str] = Counter()
        for family in families:
            for sample in family.samples:
                if sample.name == "momento_cache_calls_total":
                    calls[sample.labels["verb"]] += int(sample.value)

    requests = len(answers)
    assert calls == {
        "set": requests,
        "set_many": requests,
        "add": requests,
        "get": 2 * requests,
        "get_many": requests,
        "incr": requests,
    }
