"""A clock for the server and the packages alike: a test decides when a window or a session ends."""


class Clock:
    """Seconds since the epoch, which stand still until a test moves them."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def time(self) -> float:
        """What ``time.time()`` would answer."""
        return self.now

    def milliseconds(self) -> int:
        """What the server counts by."""
        return round(self.now * 1000)

    def advance(self, seconds: float) -> None:
        self.now += seconds
