"""Costs of a month by the prices that the user gives. No price is built in, because prices change."""

from __future__ import annotations

from typing import NamedTuple

HOURS_OF_A_MONTH = 730
SECONDS_OF_A_MONTH = HOURS_OF_A_MONTH * 3600
MILLION = 1_000_000
GB = 1_000_000_000
# ElastiCache Serverless for Valkey charges at least so many GB.
MIN_ELASTICACHE_GB = 0.1


class Prices(NamedTuple):
    """Prices in any one currency; None if the user gave none.

    ``operations`` and ``units`` are for a million, ``gb_hour`` is for a GB that ElastiCache Serverless stores
    for an hour.
    """

    operations: float | None = None
    units: float | None = None
    gb_hour: float | None = None

    def momento(self, operations_of_a_month: float) -> float | None:
        """Return the cost of a month at Momento."""
        if self.operations is None:
            return None
        return operations_of_a_month / MILLION * self.operations

    def elasticache(self, units_of_a_month: float, mean_bytes: float) -> float | None:
        """Return the cost of a month at ElastiCache Serverless: its units, and the storage."""
        if self.units is None or self.gb_hour is None:
            return None
        storage = max(MIN_ELASTICACHE_GB, mean_bytes / GB) * HOURS_OF_A_MONTH * self.gb_hour
        return units_of_a_month / MILLION * self.units + storage


NO_PRICES = Prices()
