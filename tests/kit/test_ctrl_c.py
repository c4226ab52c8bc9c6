"""Ctrl-C in tests, as each conftest prepares it."""

from __future__ import annotations

import signal

import pytest

pytest_plugins = ["pytester"]


@pytest.mark.parametrize("plugins", [(), ("-n", "1")], ids=["one process", "a worker"])
def test_a_process_of_a_test_is_interrupted_although_the_tests_ignore_ctrl_c(
    pytester: pytest.Pytester, plugins: tuple[str, ...]
) -> None:
    """As if a shell without job control had started them in the background."""
    pytester.makeconftest("from tests.kit.ctrl_c import ctrl_c_everywhere")
    pytester.makepyfile(
        """
        import signal, subprocess, sys

        CHILD = "import signal; print('ready', flush=True); signal.pause()"

        def test_a_child_is_interrupted():
            with subprocess.Popen([sys.executable, "-c", CHILD], stdout=-1, stderr=-1, text=True) as child:
                assert child.stdout.readline() == "ready\\n"
                child.send_signal(signal.SIGINT)
                assert "KeyboardInterrupt" in child.communicate(timeout=60)[1]
        """
    )
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        pytester.runpytest_inprocess("-p", "no:randomly", "-p", "no:django", *plugins).assert_outcomes(
            passed=1
        )
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
