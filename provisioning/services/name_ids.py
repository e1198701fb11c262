"""What becomes of the accounts that an IdP's persistent NameIDs are bound to, when its entityID changes.

Knows no metadata, and does not ask who may decide it.
"""

from enum import StrEnum

from django.db.models import QuerySet

from provisioning.decision.types import PERSISTENT, Subject
from provisioning.digests import keyed, subject_text
from provisioning.models import Account, Connection, Tombstone


class NameIds(StrEnum):
    """What a person says about the NameIDs of an IdP that has another entityID now."""

    KEPT = "kept"
    NEW = "new"


def bound(connection: Connection, issuer: str) -> int:
    """How many people this IdP's persistent NameIDs name."""
    return _bound(connection, issuer).count()


def settle(connection: Connection, *, before: str, after: str, name_ids: NameIds) -> int:
    """Carries the bindings over from one issuer to another, or ends them; answers how many accounts it concerned.

    Within the transaction that changes the connection.
    """
    # Submissions lock accounts by their id, too.
    rows = _bound(connection, before).order_by("id").select_for_update(no_key=True)
    accounts = list(rows.values_list("id", "subject_value", "asserted_key", "confirmed_at"))
    if name_ids is NameIds.NEW:
        # A login's account keeps the NameID as its key, which would contradict whatever comes now.
        named = [pk for pk, value, key, confirmed in accounts if key == value and confirmed is None]
        Account.objects.filter(tenant_id=connection.tenant_id, pk__in=named).update(asserted_key=None)
        _bound(connection, before).update(subject_issuer="", subject_format="", subject_value="")
        return len(accounts)
    # Of an IdP that has had the new name before, some people may be bound under it already.
    taken = _bound(connection, after).values("subject_value")
    moved = _bound(connection, before).exclude(subject_value__in=taken).update(subject_issuer=after)
    _rename_graves(connection, before, after)
    return moved


def _bound(connection: Connection, issuer: str) -> QuerySet[Account]:
    return Account.objects.filter(
        tenant_id=connection.tenant_id,
        connection_id=connection.pk,
        subject_issuer=issuer,
        deleted_at__isnull=True,
    ).exclude(subject_value="")


def _rename_graves(connection: Connection, before: str, after: str) -> None:
    """A deleted account answers to its NameID as long as its data is there to say what that was."""
    deleted = Account.objects.filter(
        tenant_id=connection.tenant_id,
        connection_id=connection.pk,
        subject_issuer=before,
        deleted_at__isnull=False,
    ).exclude(subject_value="")
    values = dict(deleted.values_list("id", "subject_value"))
    graves = list(Tombstone.objects.filter(tenant_id=connection.tenant_id, pk__in=values))
    for grave in graves:
        subject = Subject(issuer=after, format=PERSISTENT, value=values[grave.pk])
        grave.subject_digest = keyed(
            bytes(connection.tenant.digest_key), "subject", connection.pk, subject_text(subject)
        )
    Tombstone.objects.bulk_update(graves, ["subject_digest"], batch_size=1000)
    deleted.update(subject_issuer=after)
