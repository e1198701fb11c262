"""Who stands for an identity that ended in another one, and who has ended in it. Knows no page."""

from dataclasses import dataclass
from uuid import UUID

from django.db.models import Q, QuerySet

from provisioning import sql
from provisioning.models import Identity, Merge

_ENDED_IN = """
WITH RECURSIVE whole AS (
    SELECT %(identity)s::uuid AS id
    UNION
    SELECT i.id FROM provisioning_identity i JOIN whole ON i.merged_into_id = whole.id WHERE i.tenant_id = %(tenant)s
)
SELECT id FROM whole
"""
_STANDS_FOR = """
WITH RECURSIVE chain AS (
    SELECT id, merged_into_id FROM provisioning_identity WHERE tenant_id = %(tenant)s AND id = %(identity)s
    UNION
    SELECT i.id, i.merged_into_id FROM provisioning_identity i JOIN chain ON i.id = chain.merged_into_id
     WHERE i.tenant_id = %(tenant)s
)
SELECT id FROM chain WHERE merged_into_id IS NULL
"""


def all_ids(identity: Identity) -> list[UUID]:
    """The ids that have meant this person: its own, and those of the identities that ended in it."""
    if identity.tenant_id is None:
        return [identity.pk]
    asked = {"tenant": identity.tenant_id, "identity": identity.pk}
    return [key for (key,) in sql.rows(_ENDED_IN, asked)]


def stands_for(identity: Identity) -> Identity:
    """The identity that an id means now: itself, or the one that it ended in."""
    if identity.merged_into_id is None or identity.tenant_id is None:
        return identity
    asked = {"tenant": identity.tenant_id, "identity": identity.pk}
    ((key,),) = sql.rows(_STANDS_FOR, asked)
    found: Identity = Identity.objects.get(tenant_id=identity.tenant_id, pk=key)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """The merges of one identity: what has ended in it, and in what it ended."""

    into: Merge | None
    """Where it ended; None while it stands for itself."""
    ended_here: list[Merge]
    undone: list[Merge]


def of_identity(identity: Identity) -> Told:
    rows = list(_about(identity).select_related("winner", "loser").order_by("-merged_at"))
    standing = [row for row in rows if row.unmerged_at is None]
    return Told(
        into=next((row for row in standing if row.loser_id == identity.pk), None),
        ended_here=[row for row in standing if row.winner_id == identity.pk],
        undone=[row for row in rows if row.unmerged_at is not None],
    )


def _about(identity: Identity) -> QuerySet[Merge]:
    return Merge.objects.filter(Q(winner=identity) | Q(loser=identity), tenant_id=identity.tenant_id)
