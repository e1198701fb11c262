"""What a face adds to the page of a connection: cards, and what the buttons on them do. Knows no face.

A face registers its part where its own admin module is imported; the page asks whoever is there.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from django.http import HttpRequest, HttpResponse

from provisioning.models import Connection

from .base import TenantAdmin

View = Callable[[TenantAdmin, HttpRequest, Connection], HttpResponse]
"""Gets the page, which can `ask` one question before an act, and a connection that the user may see."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One card: its template reads `card`, which is `context`, and everything that the page's own template reads."""

    template: str
    context: Mapping[str, Any] = field(default_factory=dict)
    urgent: bool = False
    """Whether it stands before the page's own cards."""


class Part(Protocol):
    views: Mapping[str, View]
    """Address below the connection's own, like `fetch-metadata` -> what answers it. Their names in `reverse` are
    `admin:provisioning_connection_` with underscores for hyphens."""

    def cards(self, request: HttpRequest, connection: Connection) -> list[Card]: ...


PARTS: list[Part] = []


def register(part: Part) -> None:
    PARTS.append(part)
