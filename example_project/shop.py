"""A database and services that are slow on purpose, so that the cache has a task."""

import asyncio
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
    """A database that counts its queries. With 0 queries the value came from the cache."""

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


class Service:
    """A slow service. ``asked`` is true after a request to it."""

    def __init__(self, name: str, reply: str, slowness: float) -> None:
        self.name = name
        self.asked = False
        self._reply = reply
        self._slowness = slowness

    async def answer(self) -> str:
        self.asked = True
        await asyncio.sleep(QUERY_SECONDS * self._slowness)
        return self._reply


def services() -> list[Service]:
    """Return the services that a product page of the enamel mug uses."""
    return [
        Service("price", "€ 14.00", 0.6),
        Service("stock", "31 in stock", 1),
        Service("rating", "4.6 of 5", 1.6),
        Service("delivery", "Tomorrow", 0.8),
    ]
