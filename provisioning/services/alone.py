"""One worker, or one transaction, at a time at one thing. Knows no run and no roster.

An advisory lock says so: it ends with the worker's session, or with the transaction, however that ends.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from uuid import UUID

from django.db import DatabaseError
from django.db import connection as database

from provisioning import sql
from provisioning.digests import lock_number


@contextmanager
def alone(tenant_id: UUID, *key: str) -> Iterator[bool]:
    """Whether nobody else is at what the key names; if so, nobody else will be until the block ends."""
    number = lock_number(tenant_id, key)
    with database.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [number])
        mine = bool(cursor.fetchone()[0])
    try:
        yield mine
    finally:
        if mine:
            # A connection that broke took the lock with it.
            with suppress(DatabaseError), database.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [number])


def wait_for_turn(tenant_id: UUID, *key: str) -> None:
    """Until this transaction ends no other one is at what the key names; waits for the one that is."""
    sql.rows("SELECT pg_advisory_xact_lock(%s)", (lock_number(tenant_id, key),))
