"""One after the other, where each has to count what the others did: whose turn a transaction has waited for.

Knows neither what is counted nor who has to wait. Whoever turns out to have to begins anew and waits first of all: a
transaction that waits here has nothing yet that another one could wait for, so nobody waits in a circle.
"""

from collections.abc import Callable
from contextvars import ContextVar
from typing import TypeVar
from uuid import UUID

from provisioning import sql
from provisioning.digests import lock_number

T = TypeVar("T")

_waited: ContextVar[frozenset[int] | None] = ContextVar("turns", default=None)
"""The locks that the transaction at work begins with; None outside `in_turn`."""


class OutOfTurn(Exception):
    """This transaction has to begin anew, and wait."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def in_turn(work: Callable[[], T]) -> T:
    """Runs what begins a transaction with `wait`: again, where it turned out to need a turn.

    Inside another one that other one begins anew.
    """
    if _waited.get() is not None:
        return work()
    numbers: frozenset[int] = frozenset()
    while True:
        before = _waited.set(numbers)
        try:
            return work()
        except OutOfTurn as needed:
            numbers |= {needed.number}
        finally:
            _waited.reset(before)


def wait() -> None:
    """For every turn that is known to be needed, in one order for everybody. Until the transaction ends."""
    if numbers := _waited.get():
        sql.execute(
            "SELECT pg_advisory_xact_lock(k) FROM unnest(%s::bigint[]) AS t (k)",
            ("{" + ",".join(map(str, sorted(numbers))) + "}",),
        )


def need(tenant_id: UUID, *key: str) -> None:
    """Raises OutOfTurn unless this transaction has waited for its turn at what the key names."""
    number = lock_number(tenant_id, key)
    if number not in (_waited.get() or ()):
        raise OutOfTurn(number)
