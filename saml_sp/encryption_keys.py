"""The key pairs for which a connection's IdP encrypts: made, published, opened, ended. Knows no message.

Each connection has its own. Attack: with one key for all, whoever administers an IdP puts the ciphertext of another
tenant's login into an assertion of his own, and has the hub read it to him.
"""

import structlog
from django.db import transaction

from identity_hub.core import key_pairs
from identity_hub.core.clock import now
from identity_hub.core.ids import new_id
from identity_hub.core.sealing import Unopenable, seal, unseal
from provisioning.decision.reasons import Act
from provisioning.decision.types import Actor
from provisioning.models import Connection
from provisioning.services import configuration
from provisioning.services.invalid import Invalid, needed_reason

from .models import EncryptionKey

_NAME = "Identity Hub (encryption)"
_log = structlog.get_logger("saml_sp.encryption_keys")


def in_use(connection: Connection) -> list[EncryptionKey]:
    """The pairs that open what was encrypted for the connection, the newest first. At most two."""
    return list(
        EncryptionKey.objects.filter(
            tenant_id=connection.tenant_id, connection=connection, ended_at__isnull=True
        )
    )


def published(connection: Connection) -> EncryptionKey:
    """The pair that the metadata names. The first is made here: nobody can have encrypted for it before."""
    if found := in_use(connection):
        return found[0]
    # Of two processes that come here together, one makes it.
    EncryptionKey.objects.bulk_create([_made(connection, 1)], ignore_conflicts=True)
    return in_use(connection)[0]


def private_keys(connection: Connection) -> tuple[bytes, ...]:
    """In PEM, the newest first."""
    keys = []
    for row in in_use(connection):
        try:
            keys.append(unseal(row.sealed, for_row=str(row.pk)).encode())
        except Unopenable:
            _log.warning("saml:encryption-key-closed", connection=str(connection.pk), number=row.number)
    return tuple(keys)


def renew(connection: Connection, *, seen: int, actor: Actor, reason: str) -> EncryptionKey:
    """A newer pair, which is published from now on; the one before opens on. `seen` is the newest that was looked at.

    Raises Invalid.
    """
    reason = needed_reason(reason)
    with transaction.atomic():
        configuration.note_own_keys(connection, Act.ENCRYPTION_KEY_MADE, actor=actor, reason=reason)
        rows = in_use(connection)
        newest = rows[0].number if rows else 0
        # The second of two clicks must not make another.
        if newest != seen:
            raise Invalid("", "A newer key is there meanwhile: look at the connection's page.")
        if len(rows) > 1:
            raise Invalid("", "Two keys are in use. End the older one first.")
        row = _made(connection, newest + 1)
        row.save(force_insert=True)
    return row


def end(connection: Connection, *, number: int, actor: Actor, reason: str) -> None:
    """What was encrypted for this older pair opens no longer, and its private key is gone. Raises Invalid."""
    reason = needed_reason(reason)
    with transaction.atomic():
        configuration.note_own_keys(connection, Act.ENCRYPTION_KEY_ENDED, actor=actor, reason=reason)
        older = {row.number: row for row in in_use(connection)[1:]}
        if number not in older:
            raise Invalid("", "Only an older key that is in use can be ended.")
        row = older[number]
        row.ended_at, row.sealed = now(), ""
        row.save(update_fields=["ended_at", "sealed"])


def _made(connection: Connection, number: int) -> EncryptionKey:
    pk, at = new_id(), now()
    key, certificate = key_pairs.make(_NAME, at)
    return EncryptionKey(
        pk=pk,
        tenant_id=connection.tenant_id,
        connection=connection,
        number=number,
        certificate=certificate,
        sealed=seal(key, for_row=str(pk)),
        created_at=at,
    )
