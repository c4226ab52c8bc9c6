"""A program whose Momento does not answer: it forks, or it ends. Prints nothing if all is well."""

import logging
import os
import sys
import threading
import warnings

import django

django.setup()

from django.core.cache import cache

from django_momento.exceptions import CallTimedOut, CircuitOpen, MomentoCacheError
from tests.kit.admin import command
from tests.kit.waiting import patience

# What they say of outages is not the question.
logging.getLogger("django_momento").setLevel(logging.ERROR)
logging.getLogger("momentosdk").setLevel(logging.CRITICAL)


def outcome() -> type[Exception] | None:
    try:
        cache.get("key")
    except MomentoCacheError as error:
        return type(error)
    return None


def wait_for_an_answer() -> None:
    for _ in patience():
        if outcome() is None:
            return
    sys.exit("Momento is back, but was not used again.")


def fork() -> None:
    """The parent's breaker is not the child's, and neither keeps the other from going on."""
    # Newer Pythons warn of every fork of a process with threads: that this one goes well is the question.
    warnings.simplefilter("ignore", DeprecationWarning)
    child = os.fork()
    if not child:
        status = 1
        try:
            assert outcome() is CallTimedOut
            assert outcome() is CircuitOpen
            command(int(os.environ["ADMIN_PORT"]), "/unblock")
            wait_for_an_answer()
            status = 0
        finally:
            os._exit(status)
    if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]):
        sys.exit("The child failed.")
    wait_for_an_answer()


def exit_during_a_probe() -> None:
    while not any(thread.name == "momento-probe" for thread in threading.enumerate()):
        assert outcome() is CircuitOpen


def exit_while_it_is_open() -> None:
    assert outcome() is CircuitOpen


if __name__ == "__main__":
    assert outcome() is CallTimedOut
    globals()[sys.argv[1]]()
