"""How commands tell a connection's readiness list."""

from collections.abc import Iterator

from identity_hub.core.clock import now
from provisioning.models import Connection
from provisioning.selectors.readiness import readiness

from .base import table


def list_of(connection: Connection) -> list[dict[str, str]]:
    return [
        {"item": one.item.value, "state": one.state.value, "title": one.title, "sentence": one.sentence}
        for one in readiness(connection, now())
    ]


def lines_of(judged: list[dict[str, str]]) -> Iterator[str]:
    yield from table(
        ["State", "Item", "What"], [(one["state"], one["item"], one["sentence"]) for one in judged]
    )
