"""A migration under load for as long as one likes: ``python -m tests.migration --minutes 10``.

Eight threads use a DualCache from a real Redis to a real Momento. Meanwhile the phase goes to and fro, and
either side is killed or frozen and comes back, at random. It ends with status 1 if a value was wrong, a call
failed, or less than 95 % of the reads of a stage were hits.
"""

from __future__ import annotations

import argparse
import logging
import os
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import django

MIN_CALLS = 2000
_shown: list[str] = []


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.migration", description=__doc__)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    arguments = parser.parse_args()
    sys.stdout.write(f"seed {arguments.seed}\n")
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    django.setup()
    logging.getLogger("momentosdk").setLevel("CRITICAL")
    logging.getLogger("django_momento").setLevel("ERROR")
    with tempfile.TemporaryDirectory() as directory:
        return run(Path(directory), arguments.minutes * 60, random.Random(arguments.seed))


def run(directory: Path, seconds: float, chance: random.Random) -> int:
    from django.conf import settings

    from django_momento.client.registry import clients
    from django_momento.migration.state import migrations
    from tests.kit.redis import RedisServer
    from tests.migration.conftest import Phases
    from tests.migration.test_under_load import EachThreadsCache, Stages, configure, is_settled
    from tests.migration.traffic import Traffic
    from tests.processes.momento import Momento

    phases = Phases(directory / "phase")
    deadline = time.monotonic() + seconds
    with RedisServer(directory) as redis, Momento(directory) as momento:
        configure(settings, redis, momento, phases)
        with Traffic(EachThreadsCache()) as traffic:
            stages = Stages(traffic, MIN_CALLS)
            stages.run("0: warm-up")
            (migration,) = migrations.all()
            number = 0
            while time.monotonic() < deadline and not traffic.wrong:
                number += 1
                phases.write(phase := chance.choice(["shadow", "dual"]))
                stages.run(f"{number}: {phase}", lambda: is_settled(migration))
                side: Any = chance.choice([redis, momento])
                name = f"{phase}, {type(side).__name__}"
                if chance.random() < 0.5:
                    side.kill()
                    stages.run(f"{number}: {name} killed")
                    side.start()
                else:
                    side.freeze()
                    stages.run(f"{number}: {name} frozen")
                    side.thaw()
                stages.run(f"{number}: {name} back", lambda: is_settled(migration))
                show(stages.rates, stages.failures)
            phases.write("dual")
            stages.run("last: dual", lambda: is_settled(migration))
            phases.write("done")
            stages.run("last: done")
            show(stages.rates, stages.failures)
    clients.close()
    sys.stdout.write(
        f"{traffic.counts['calls']} calls, {len(traffic.wrong)} wrong, {len(traffic.failed)} failed\n"
    )
    sys.stdout.write("".join(f"  {line}\n" for line in (*traffic.wrong[:10], *traffic.failed[:10])))
    return 1 if traffic.wrong or traffic.failed or stages.poor else 0


def show(rates: dict[str, float], failures: dict[str, dict[str, int]]) -> None:
    """Print the stages that are not printed yet."""
    for name in [*rates][len(_shown) :]:
        _shown.append(name)
        sys.stdout.write(f"{name:40} {rates[name]:8.2%} hits  {failures[name]}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
