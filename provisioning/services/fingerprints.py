"""Gives accounts the fingerprint that they lack: those that were written before there was one, or by no decision."""

from uuid import UUID

import orjson
from django.db import transaction

from provisioning import sql
from provisioning.decision.authority import profile_of_resource
from provisioning.fingerprints import fingerprint
from provisioning.models import Account, Connection

BATCH = 2000

# Whoever writes one of them meanwhile gives it its fingerprint himself.
_LACKING = """
SELECT id, external_id, user_name, active, resource FROM provisioning_account
 WHERE tenant_id = %s AND connection_id = %s AND deleted_at IS NULL AND fingerprint IS NULL
   AND uuid_send(id) > uuid_send(%s)
 ORDER BY uuid_send(id) LIMIT %s FOR NO KEY UPDATE SKIP LOCKED
"""


def fill_fingerprints(connection: Connection) -> int:
    """Every live account of the connection can be compared afterwards; answers how many could not before."""
    filled = 0
    last = UUID(int=0)
    while batch := _fill_batch(connection, last):
        filled += len(batch)
        last = batch[-1]
    return filled


def _fill_batch(connection: Connection, after: UUID) -> list[UUID]:
    with transaction.atomic():
        lacking = sql.rows(_LACKING, (connection.tenant_id, connection.pk, after, BATCH))
        rows = [
            {
                "id": account_id,
                "fingerprint": fingerprint(
                    external_id=external_id,
                    user_name=user_name,
                    active=active,
                    profile=profile_of_resource(orjson.loads(resource)),
                ),
            }
            for account_id, external_id, user_name, active, resource in lacking
        ]
        sql.update(Account, connection.tenant_id, rows)
    return [row["id"] for row in rows]
