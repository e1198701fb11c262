"""What the runs' tests share: people in each state that a run looks for."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from identity_hub.core.clock import now
from provisioning.models import Identity, Session

from ..cast import House, push, session_of, sign_in, user
from .administrators import appoint

LONG_AGO = timedelta(days=30)


@pytest.fixture
def administrators(acme: House) -> None:
    appoint(acme.tenant)


@pytest.fixture
def unconfirmed() -> Callable[..., list[Identity]]:
    """JIT accounts whose grace is over."""

    def make(where: House, number: int = 1, at: datetime | None = None) -> list[Identity]:
        outcomes = [
            sign_in(
                where, f"{where.connection.name.lower()}-{where.tenant.slug}-{n}", at=at or now() - LONG_AGO
            )
            for n in range(number)
        ]
        return [Identity.objects.get(pk=outcome.identity_id) for outcome in outcomes]

    return make


@pytest.fixture
def confirmed() -> Callable[[House, int], None]:
    """People whom SCIM delivered."""

    def make(where: House, number: int) -> None:
        for n in range(number):
            push(where, user(f"person-{n}@{where.domain}", f"key-{n}"))

    return make


@pytest.fixture
def session() -> Callable[[Identity], Session]:
    return session_of
