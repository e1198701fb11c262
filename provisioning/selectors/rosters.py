"""Which rosters there are, and what their first rows would meet. Knows no rule of proof."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.db.models import Exists, OuterRef

from provisioning.decision.keys import fold
from provisioning.models import Account, Connection, Roster, RosterPart

APART = timedelta(hours=12)
"""How far apart two rosters are at least, so that who is in neither is missing twice: one file given twice says nothing
that it has not said once."""


def newest_complete(tenant_id: UUID, connection_id: UUID) -> Roster | None:
    rows = Roster.objects.filter(
        tenant_id=tenant_id, connection_id=connection_id, status=Roster.Status.COMPLETE
    )
    return rows.order_by("-as_of").first()


def needed(complete: Sequence[Roster]) -> list[Roster]:
    """Of one connection's complete rosters, the newest first, those whose rows are compared with, today or later.

    The newest; the one before it, which is APART; and all that lie between them: whoever is in one of these was not
    missing all the time.
    """
    newest = complete[0]
    before = next((one for one in complete if one.as_of <= newest.as_of - APART), complete[-1])
    return [one for one in complete if one.as_of >= before.as_of]


def waiting_to_load() -> Iterator[tuple[UUID, UUID]]:
    """(tenant, roster) of every uploaded file that was taken and is not loaded yet."""
    parts = RosterPart.objects.filter(tenant=OuterRef("tenant"), roster=OuterRef("pk"))
    rows = Roster.objects.filter(Exists(parts), status=Roster.Status.LOADING).order_by("started_at")
    yield from rows.values_list("tenant_id", "pk")


@dataclass(frozen=True, slots=True, kw_only=True)
class Met:
    """How many of some rows a connection's live accounts answer to, and by which key.

    `elsewhere` are rows whose userName is that of an account with another externalId: a sign that the wrong column is
    mapped.
    """

    rows: int
    by_external_id: int
    by_user_name: int
    elsewhere: int


def met(connection: Connection, keys: Sequence[tuple[str, str]]) -> Met:
    """`keys` are (externalId, userName) of the first rows of a listing."""
    live = Account.objects.filter(
        tenant_id=connection.tenant_id, connection_id=connection.pk, deleted_at__isnull=True
    )
    ids = [external_id for external_id, _ in keys if external_id]
    known = set(live.filter(external_id__in=ids).values_list("external_id", flat=True))
    names = dict(
        live.filter(user_name_key__in=[fold(name) for _, name in keys if name]).values_list(
            "user_name_key", "external_id"
        )
    )
    named = [(external_id, fold(name)) for external_id, name in keys if fold(name) in names]
    return Met(
        rows=len(keys),
        by_external_id=sum(external_id in known for external_id, _ in keys if external_id),
        by_user_name=len(named),
        elsewhere=sum(
            bool(external_id and names[name] and names[name] != external_id) for external_id, name in named
        ),
    )
