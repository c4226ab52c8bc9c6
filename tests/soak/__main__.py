"""``python -m tests.soak --minutes 30``: random faults, and a summary of how the process recovered."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import queue
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.kit.tcp_proxy import TcpProxy
from tests.processes.momento import Momento
from tests.soak.verbs import VERBS

ROOT = Path(__file__).parents[2]

# Seconds. No verb may take longer than CLIENT_TIMEOUT for each of its calls, one after another, and one more.
CLIENT_TIMEOUT = 1.1
CALLS = {"delete": 2, "incr": 2, "get_or_set": 3}
MAX_RECOVERY = 2.0

# Seconds of CPU time that the measure of the machine's load takes at once.
WORK = 0.01

# Seconds without an answer to a command after which the process counts as hung.
HANG = 100


def say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - it is a command


class Load:
    """A measure of how slow the machine is: a thread that does a little work again and again.

    The process is idle otherwise. So if its work takes longer than its own CPU time, other processes have
    the CPU in between.
    """

    def __init__(self) -> None:
        self._wall = self._cpu = 0.0
        threading.Thread(target=self._run, daemon=True).start()

    def take(self) -> float:
        """Return how many times longer than its CPU time the work took since the last call, at least 1."""
        wall, cpu, self._wall, self._cpu = self._wall, self._cpu, 0.0, 0.0
        return max(1.0, wall / cpu) if cpu else 1.0

    def _run(self) -> None:
        while True:
            started, used = time.perf_counter(), time.thread_time()
            while time.thread_time() - used < WORK:
                pass
            self._wall += time.perf_counter() - started
            self._cpu += time.thread_time() - used
            time.sleep(10 * WORK)


class Victim:
    """The process under test, which is given commands and answers each of them."""

    def __init__(self, secret: Path, log: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-X", "faulthandler", "-m", "tests.soak.victim"],
            cwd=ROOT,
            env={**os.environ, "SOAK_SECRET": str(secret)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log.open("wb"),
            text=True,
        )
        self._answers: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def ask(self, *command: Any) -> Any:
        self.send(*command)
        return self.answer()

    def send(self, *command: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()

    def answer(self) -> Any:
        """Return the answer to the last command. Raises RuntimeError if there is none."""
        try:
            line = self._answers.get(timeout=HANG)
        except queue.Empty:
            self.process.send_signal(signal.SIGABRT)  # faulthandler prints the stacks of all threads
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(HANG)
            raise RuntimeError(f"the process did not answer within {HANG} s") from None
        if not line:
            raise RuntimeError(f"the process ended with {self.process.wait()}")
        answer = json.loads(line)
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer["result"]

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._answers.put(line)
        self._answers.put("")


class Soak:
    """The server, the proxy before it, the secret, and the process that uses them."""

    def __init__(self, directory: Path, momento: Momento, proxy: TcpProxy) -> None:
        self.momento = momento
        self.proxy = proxy
        self.secret = directory / "secret.json"
        self.log = directory / "victim.log"
        self.keys = 0
        self.accept_key()
        self.write_secret(proxy.address)
        self.victim = Victim(self.secret, self.log)
        # Seconds that the process was stopped for during the fault, which its calls have to bear.
        self.stopped = 0.0
        self.faults: dict[str, Callable[[], None]] = {
            name.removeprefix("fault_"): getattr(self, name)
            for name in dir(self)
            if name.startswith("fault_")
        }

    def accept_key(self) -> None:
        self.momento.command("/accept-only", f"key-{self.keys}")

    def write_secret(self, endpoint: str) -> None:
        fresh = self.secret.with_suffix(".new")
        fresh.write_text(json.dumps({"api_key": f"key-{self.keys}", "endpoint": endpoint}))
        fresh.replace(self.secret)

    def fault_reset(self) -> None:
        for _ in range(random.randint(1, 20)):
            self.proxy.reset()
            time.sleep(random.uniform(0, 0.1))

    def fault_silence(self) -> None:
        self.proxy.is_silent = True
        time.sleep(random.uniform(0.5, 5))
        self.proxy.is_silent = False

    def fault_trickle(self) -> None:
        self.proxy.bytes_per_second = random.choice([1, 20, 500])
        time.sleep(random.uniform(0.5, 4))
        self.proxy.bytes_per_second = float("inf")

    def fault_slow_connections(self) -> None:
        self.proxy.connect_seconds = 1.3
        self.proxy.reset()
        time.sleep(random.uniform(2, 4))
        self.proxy.connect_seconds = 0.0

    def fault_server_restarts(self) -> None:
        self.momento.kill()
        time.sleep(random.uniform(0, 3))
        self.momento.start()
        self.accept_key()

    def fault_server_stops(self) -> None:
        self.momento.freeze()
        time.sleep(random.uniform(0.5, 4))
        self.momento.thaw()

    def fault_unavailable(self) -> None:
        self.momento.command("/fail", f"unavailable {random.choice([0.3, 1.0])}")
        time.sleep(random.uniform(0.5, 3))
        self.momento.command("/fail")

    def fault_rotation(self) -> None:
        self.keys += 1
        self.write_secret(self.proxy.address)
        self.accept_key()

    def fault_wrong_secret(self) -> None:
        """A new key whose secret names a dead endpoint at first."""
        self.keys += 1
        self.write_secret("127.0.0.1:9")
        self.accept_key()
        time.sleep(random.uniform(0.5, 3))
        self.write_secret(self.proxy.address)

    def fault_process_stops(self) -> None:
        for _ in range(random.randint(1, 3)):
            self.victim.process.send_signal(signal.SIGSTOP)
            started = time.monotonic()
            time.sleep(random.uniform(0.2, 4))
            self.victim.process.send_signal(signal.SIGCONT)
            self.stopped += time.monotonic() - started
            time.sleep(0.05)

    def fault_no_threads(self) -> None:
        self.victim.ask("exhaust_threads", random.uniform(0.1, 2))

    def fault_interrupts(self) -> None:
        # Not more: gRPC keeps about 15 kB of each call that is interrupted for as long as the process lives.
        self.victim.ask("interrupt", 20)

    def fault_calls_from_handlers(self) -> None:
        self.victim.send("call_from_handlers", 2.0)
        if random.random() < 0.5:
            self.fault_silence()
        self.victim.answer()

    def fault_forks(self) -> None:
        self.victim.ask("fork", 5)

    def fault_clock_steps(self) -> None:
        self.victim.ask("step_clock", random.choice([-1e9, -3600.0, -2.0, 2.0, 3600.0, 1e9]), 1.5)


def fault_names() -> list[str]:
    return sorted(name.removeprefix("fault_") for name in dir(Soak) if name.startswith("fault_"))


class Summary:
    """The violations, and the figures by fault."""

    def __init__(self) -> None:
        self.violations: Counter[str] = Counter()
        # What took too long, but not longer than a machine that was as slow as this one explains.
        self.excused: Counter[str] = Counter()
        self.slowdowns: list[float] = []
        self.recoveries: dict[str, list[float]] = defaultdict(list)
        self.resources: list[dict[str, int]] = []
        self.calls = 0
        self.longest = 0.0

    def add_fault(
        self, fault: str, taken: dict[str, Any], check: dict[str, Any], stopped: float, slowdown: float
    ) -> None:
        """Note a fault. ``slowdown`` is the factor by which the machine was slow meanwhile."""
        self.recoveries[fault].append(check["seconds"])
        self.slowdowns.append(slowdown)
        if check["problem"]:
            self.violations[f"{fault}: not recovered: {check['problem']}"] += 1
        elif check["seconds"] > MAX_RECOVERY and fault != "wrong_secret":
            is_ours = check["seconds"] / slowdown > MAX_RECOVERY
            text = f"{fault}: recovery took longer than {MAX_RECOVERY} s"
            (self.violations if is_ours else self.excused)[text] += 1
        for record in (taken, check["record"]):
            self.calls += record["calls"]
            self.longest = max(self.longest, record["longest"] - stopped)
            verb = record["longest_verb"]
            limit = CLIENT_TIMEOUT * CALLS.get(verb if verb in VERBS else verb[1:], 1) + 1.0
            # Timeouts pass by the clock. The rest of a call takes as long as the machine lets it.
            excess = record["longest"] - stopped - (limit - 1.0)
            if excess > 1.0:
                text = f"{fault}: {verb} took longer than {limit:g} s"
                (self.violations if excess / slowdown > 1.0 else self.excused)[text] += 1
            for kind in ("foreign", "wrong"):
                for text in record[kind]:
                    self.violations[f"{fault}: {kind}: {text}"] += 1

    def check_growth(self) -> None:
        if not self.resources:
            return
        quarter = max(1, len(self.resources) // 4)
        for name, room in (("descriptors", 10), ("threads", 10), ("rss_kb", 20_000), ("in_flight", 0)):
            figures = [sample[name] for sample in self.resources]
            first, last = statistics.median(figures[:quarter]), statistics.median(figures[-quarter:])
            say(f"{name}: {first:g} in the first quarter, {last:g} in the last")
            allowed = max(first * 1.1, first + room) if name != "in_flight" else 30
            if last > allowed:
                self.violations[f"{name} grew from {first:g} to {last:g}"] += 1

    def show(self) -> None:
        say(f"\n{self.calls} calls; the longest took {self.longest:.2f} s")
        for fault, seconds in sorted(self.recoveries.items()):
            say(
                f"{fault}: {len(seconds)} times; recovery {statistics.median(seconds):.2f} s "
                f"(median), {max(seconds):.2f} s (longest)"
            )
        self.check_growth()
        slowdowns = self.slowdowns or [1.0]
        say(
            f"other processes slowed this machine by {statistics.median(slowdowns):.1f} (median), "
            f"{max(slowdowns):.1f} (most)"
        )
        say(f"explained by that: {self.excused.total()}")
        for text, count in self.excused.most_common():
            say(f"  {count} x {text}")
        say(f"violations: {self.violations.total()}")
        for text, count in self.violations.most_common():
            say(f"  {count} x {text}")


def soak(minutes: float, only: list[str]) -> int:
    summary, load = Summary(), Load()
    with (
        tempfile.TemporaryDirectory() as name,
        Momento(Path(name)) as momento,
        TcpProxy(momento.address) as proxy,
    ):
        ours = Soak(Path(name), momento, proxy)
        faults = {name: act for name, act in ours.faults.items() if not only or name in only}
        order = list(faults)
        until, number, fault = time.monotonic() + minutes * 60, 0, "none"
        try:
            if problem := ours.victim.ask("check")["problem"]:
                raise RuntimeError(f"the cache does not work to begin with: {problem}")
            ours.victim.ask("take")
            while time.monotonic() < until:
                if not number % len(faults):  # Each of them once, and then again in another order.
                    random.shuffle(order)
                fault = order[number % len(faults)]
                number += 1
                ours.stopped = 0.0
                load.take()
                faults[fault]()
                check = ours.victim.ask("check")
                taken = ours.victim.ask("take")
                slowdown = load.take()
                summary.add_fault(fault, taken, check, ours.stopped, slowdown)
                summary.resources.append(ours.victim.ask("resources"))
                say(
                    f"{number}: {fault}: recovered in {check['seconds']:.2f} s, then all verbs took "
                    f"{check['pass']:.2f} s; machine slowed by {slowdown:.1f}; "
                    f"errors {taken['errors']}; {summary.resources[-1]}; "
                    f"{summary.violations.total()} violations"
                )
        except (RuntimeError, BrokenPipeError) as error:
            summary.violations[f"in fault {number}, {fault}: {error}"] += 1
            say(ours.log.read_text(errors="replace")[-20_000:])
        finally:
            ours.victim.process.kill()
            ours.victim.process.wait()
        summary.show()
    return bool(summary.violations)


def main() -> int:
    names = fault_names()
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=None, help="repeat the order of faults of another run")
    parser.add_argument(
        "--only", nargs="*", default=[], choices=names, metavar="FAULT", help=", ".join(names)
    )
    arguments = parser.parse_args()
    seed = arguments.seed if arguments.seed is not None else random.randrange(10**6)
    say(f"seed {seed}, {len(VERBS)} verbs on each face")
    random.seed(seed)
    return soak(arguments.minutes, arguments.only)


if __name__ == "__main__":
    sys.exit(main())
