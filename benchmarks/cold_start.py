"""Group 6: the first ``get`` of a fresh process, and imports.

Every sample is a process of its own, started from here one at a time, in shuffled order.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from .measure import Sample, Table, shuffled
from .services import ROOT, secrets_agent, secrets_manager

API_KEY = "a-key-of-the-benchmarks"

BARE_SECRET = "ten lines: boto3, CacheClient"  # noqa: S105 - a name in a table
BARE_ENVIRONMENT = "ten lines: CacheClient"
OURS = "django-momento"
OURS_WITH_BOTO3 = "django-momento with boto3"
AGENT = "first get, key from the AWS Workload Credentials Provider, in a process that has started Django"


class Step(NamedTuple):
    """One contender: its name in the table and in ``first_get``."""

    name: str
    step: str
    beside: str | None = None
    needs_redis: bool = False


IMPORTS = (
    Step("momento", "import_sdk_site"),
    Step("momento, boto3", "import_sdk_and_boto3_site"),
    Step(OURS, "import_ours_site", "momento"),
    Step("django-redis", "import_django_redis_site", "momento"),
)
FROM_ENVIRONMENT = (
    Step(BARE_ENVIRONMENT, "bare_environment_site"),
    Step(OURS, "our_environment_site", BARE_ENVIRONMENT),
    Step("django-redis", "django_redis_site", None, needs_redis=True),
    Step("RedisCache", "redis_cache_site", None, needs_redis=True),
)
FROM_SECRETS_MANAGER = (
    Step(BARE_SECRET, "bare_secret_site"),
    Step(OURS, "our_secret_site", BARE_SECRET),
)
# The agent has the secret in its cache, as for every process but the first of five minutes.
FROM_AGENT = (
    Step(OURS_WITH_BOTO3, "our_secret_site"),
    Step(OURS, "our_agent_site", OURS_WITH_BOTO3),
)
WHOLE = (
    Step(f"{BARE_SECRET}, no Django", "bare_secret"),
    Step(f"{OURS}, with Django", "our_secret_site", f"{BARE_SECRET}, no Django"),
    Step(f"{OURS}, with Django and the agent", "our_agent_site", f"{OURS}, with Django"),
)


def race(group: str, redis_port: int | None, rounds: int) -> list[Table]:
    os.environ["MOMENTO_API_KEY"] = API_KEY
    with secrets_manager(API_KEY), secrets_agent(), _bytecode_kept():
        _inside("fill_site")
        return [
            _race(Table(group, title), [step for step in steps if redis_port or not step.needs_redis], rounds)
            for title, steps in (
                ("importing, in a process that has started Django", IMPORTS),
                (
                    "first get, key from the environment, in a process that has started Django",
                    FROM_ENVIRONMENT,
                ),
                (
                    "first get, key from Secrets Manager, in a process that has started Django",
                    FROM_SECRETS_MANAGER,
                ),
                (AGENT, FROM_AGENT),
                ("the same as a whole process, from its start to its end", WHOLE),
            )
        ]


@contextmanager
def _bytecode_kept() -> Iterator[None]:
    """Let Python keep its compiled files, of all packages alike and in every environment.

    Installed packages have their bytecode, and a checkout may not: it must not be compiled in every sample.
    """
    before = os.environ.copy()
    with tempfile.TemporaryDirectory() as directory:
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        os.environ["PYTHONPYCACHEPREFIX"] = directory
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)


def _race(table: Table, steps: list[Step], rounds: int) -> Table:
    measure = _whole if steps[0] is WHOLE[0] else _inside
    by_name = {step.name: step for step in steps}
    for step in steps:
        table.compare(step.name, step.beside)
        measure(step.step)  # so that it is compiled, and its files in the operating system's memory
    for _ in range(rounds):
        for name in shuffled(by_name):
            table.samples[name].append(measure(by_name[name].step))
    return table


def _inside(step: str) -> Sample:
    """The time that the step itself took, as its process measured it."""
    command = [sys.executable, "-m", "benchmarks.first_get", step]
    done = subprocess.run(  # noqa: S603 - our own interpreter and arguments
        command, stdout=subprocess.PIPE, cwd=ROOT, check=True
    )
    sample: Sample = json.loads(done.stdout)
    return sample


def _whole(step: str) -> Sample:
    cpu, wall = _cpu_of_children(), time.perf_counter()
    _inside(step)
    wall = time.perf_counter() - wall
    return {"wall ms": wall * 1000, "CPU ms": (_cpu_of_children() - cpu) * 1000}


def _cpu_of_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
