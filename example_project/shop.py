"""A pretend database: right, in memory, and slow on purpose, so that a cache has something to save."""

import time
from datetime import datetime
from typing import NamedTuple

from django.utils import timezone

QUERY_SECONDS = 0.3


class Product(NamedTuple):
    name: str
    price: str
    in_stock: int


class StockList(NamedTuple):
    """The products as they were at one moment."""

    as_of: datetime
    products: tuple[Product, ...]


PRODUCTS = (
    Product("Enamel mug", "14.00", 31),
    Product("Linen apron", "38.50", 8),
    Product("Cast-iron pan", "59.00", 12),
    Product("Beech spoon", "6.20", 140),
    Product("Salt cellar", "17.90", 22),
    Product("Tea towel", "9.80", 64),
)


class Database:
    """Counts its queries: none asked means that the cache had the answer."""

    def __init__(self) -> None:
        self.queries = 0

    def stock(self) -> StockList:
        self._query()
        return StockList(timezone.now(), PRODUCTS)

    def nearly_sold_out(self) -> list[Product]:
        self._query()
        return sorted(PRODUCTS, key=lambda product: product.in_stock)[:3]

    def _query(self) -> None:
        self.queries += 1
        time.sleep(QUERY_SECONDS)
