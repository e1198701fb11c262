"""A face adds cards and views to a connection's page, and gets only connections that the user may see."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.admin import site
from django.http import Http404, HttpRequest, HttpResponse
from django.test import RequestFactory

from provisioning.admin import parts
from provisioning.models import Connection, Identity

from .scene import Scene


class Greeting:
    """A part as a face would bring it."""

    def __init__(self) -> None:
        self.views = {"say-hello": self.hello}

    def hello(self, page: Any, request: HttpRequest, connection: Connection) -> HttpResponse:
        return HttpResponse(f"Hello, {connection.name}")

    def cards(self, request: HttpRequest, connection: Connection) -> list[parts.Card]:
        return [parts.Card(template="greeting.html", context={"whom": connection.name}, urgent=True)]


@pytest.fixture
def page() -> Iterator[Any]:
    """The page of connections with one part more."""
    part = Greeting()
    parts.register(part)
    yield site.get_model_admin(Connection)
    parts.PARTS.remove(part)


def _asked_by(administrator: Identity) -> HttpRequest:
    request = RequestFactory().get("/")
    request.user = administrator
    return request


def test_the_page_shows_the_cards_of_a_part(page: Any, ours: Scene) -> None:
    connection = ours.where.connection
    shown = page.beside(_asked_by(ours.administrator), str(connection.pk))["cards"]
    assert parts.Card(template="greeting.html", context={"whom": connection.name}, urgent=True) in shown


def test_a_view_has_an_address_below_the_connections_own(page: Any) -> None:
    addresses = {url.name: str(url.pattern) for url in page.get_urls()}
    assert addresses["provisioning_connection_say_hello"] == "<path:object_id>/say-hello/"


def test_a_view_gets_a_connection_of_the_users_tenant_and_no_other(
    page: Any, ours: Scene, theirs: Scene
) -> None:
    (view,) = (part.views["say-hello"] for part in parts.PARTS if isinstance(part, Greeting))
    request, mine, foreign = _asked_by(ours.administrator), ours.where.connection, theirs.where.connection
    assert page.part_view(request, str(mine.pk), view=view).content.decode() == f"Hello, {mine.name}"
    with pytest.raises(Http404):
        page.part_view(request, str(foreign.pk), view=view)
