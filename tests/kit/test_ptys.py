"""Commands in pseudo-terminals."""

from __future__ import annotations

import sys

from tests.kit.ptys import Terminal

# A read of a pseudo-terminal returns 4,095 bytes at most, so some end within a character of two bytes.
PROGRAM = "import sys; sys.stdout.buffer.write('x'.encode() + 'ä'.encode() * 20_000)"


def test_a_read_may_end_within_a_character() -> None:
    with Terminal([sys.executable, "-c", PROGRAM]) as terminal:
        assert 0 == terminal.ended()
    assert "x" + "ä" * 20_000 == terminal.written
