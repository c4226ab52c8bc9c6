"""The async page: four replies awaited at once, on the event loop of its server."""

from __future__ import annotations

import asyncio

import pytest
from django.test import AsyncClient, Client

from example_project import shop, views

TIMEOUT = 60


class Meeting:
    """Services that reply only when all of them have a request."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.loops: list[asyncio.AbstractEventLoop] = []
        self.everybody = asyncio.Event()

    def services(self) -> list[shop.Service]:
        services = [shop.Service(str(number), "reply", 1) for number in range(self.size)]
        for service in services:
            service.answer = self.answer  # type: ignore[method-assign]  # the test answers in its place
        return services

    async def answer(self) -> str:
        self.loops.append(asyncio.get_running_loop())
        if len(self.loops) == self.size:
            self.everybody.set()
        await asyncio.wait_for(self.everybody.wait(), TIMEOUT)
        return "reply"


def test_the_services_are_asked_at_once(site: Client, monkeypatch):
    """All four wait at the same time, on the server's own event loop: no thread is in between."""

    async def visit() -> None:
        meeting = Meeting(4)
        monkeypatch.setattr(views, "services", meeting.services)
        response = await AsyncClient().get("/async/")

        assert response.status_code == 200
        assert [asyncio.get_running_loop()] * 4 == meeting.loops
        assert "Served over ASGI" in response.content.decode()

    asyncio.run(visit())


@pytest.mark.parametrize("forgotten", [{"forget": "price"}, {"forget": "delivery"}])
def test_one_answer_can_be_forgotten(site: Client, forgotten):
    """Only a forgotten reply is requested again."""
    first, second = site.get("/async/").context, site.get("/async/").context
    site.post("/async/", forgotten)
    third = site.get("/async/").context

    assert (0, 4, 3) == (first["hits"], second["hits"], third["hits"])
    assert [forgotten["forget"]] == [service.name for service, _ in third["rows"] if service.asked]


@pytest.mark.parametrize("forgotten", [{}, {"forget": "no such service"}])
def test_all_answers_can_be_forgotten(site: Client, forgotten):
    """Without a service that exists, all are forgotten."""
    site.get("/async/")

    site.post("/async/", forgotten)

    assert site.get("/async/").context["hits"] == 0


def test_works_under_wsgi_too(site: Client):
    """A WSGI server runs the same view on a loop for that request, and the page says so."""
    assert "Served over WSGI" in site.get("/async/").content.decode()
