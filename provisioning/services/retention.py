"""What goes when its time has come: deleted people's data, ended sessions, delivered messages, logged requests, runs.

Never an audit row.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, OuterRef, Q

from provisioning import audit
from provisioning.decision.keys import fold
from provisioning.decision.reasons import Act
from provisioning.decision.types import PROFILE_FIELDS, Actor, Channel, Intent
from provisioning.models import (
    Account,
    Alias,
    AuditRecord,
    AuditValue,
    Finding,
    Identity,
    Merge,
    OutboxMessage,
    Override,
    ReconciliationItem,
    ReconciliationRun,
    ScimRequest,
    Session,
    Tombstone,
)

from . import questions

BATCH = 200
DELIVERED_MESSAGES_KEPT = timedelta(days=7)
REQUESTS_KEPT = timedelta(days=90)
ROWS_AT_ONCE = 5000
REPORTS_KEPT = timedelta(days=30)
RUNS_KEPT = timedelta(days=365)
FOUND_KEPT = timedelta(days=30)
"""As long as the login attempts that show it."""

_NO_ACCOUNT_DATA: dict[str, Any] = {
    "user_name": "",
    "user_name_key": "",
    "user_name_skeleton": "",
    "external_id": None,
    "asserted_key": None,
    "subject_issuer": "",
    "subject_format": "",
    "subject_value": "",
    "email_keys": [],
    "unique_keys": [],
    "search": None,
    "fingerprint": None,
    "resource": {},
    "assertion": {},
    "link_evidence": {},
}
_NO_PROFILE = dict.fromkeys((*PROFILE_FIELDS, "user_name_key", "email_key"), "")


def purge_deleted(*, at: datetime, actor: Actor) -> int:
    """Removes the personal data of accounts whose retention is over; answers how many.

    Ids stay, so that the audit can still be read, and the tombstone's keyed digests stay, so that a recycled name
    is still noticed. An identity loses its data with its last account.
    """
    purged = 0
    while batch := _purge_batch(at, actor):
        purged += batch
    return purged


def _purge_batch(at: datetime, actor: Actor) -> int:
    with transaction.atomic():
        graves = list(
            Tombstone.objects.select_for_update(skip_locked=True)
            .filter(purged_at__isnull=True, purge_after__lte=at)
            .order_by("purge_after")[:BATCH]
        )
        for tenant_id in {grave.tenant_id for grave in graves}:
            _purge(tenant_id, [grave for grave in graves if grave.tenant_id == tenant_id], at, actor)
    return len(graves)


def _purge(tenant_id: UUID, graves: list[Tombstone], at: datetime, actor: Actor) -> None:
    account_ids = [grave.pk for grave in graves]
    Account.objects.filter(tenant_id=tenant_id, pk__in=account_ids, deleted_at__isnull=False).update(
        **_NO_ACCOUNT_DATA
    )
    Alias.objects.filter(tenant_id=tenant_id, account_id__in=account_ids).delete()
    about = Finding.objects.filter(tenant_id=tenant_id, account_id__in=account_ids)
    open_ones = about.filter(status=Finding.Status.OPEN)
    questions.close(tenant_id, open_ones, at, because="The data of whom it was about is gone.")
    about.update(evidence={})
    ReconciliationItem.objects.filter(tenant_id=tenant_id, account_id__in=account_ids).update(evidence={})
    Tombstone.objects.filter(tenant_id=tenant_id, pk__in=account_ids).update(purged_at=at)
    _forget_identities(tenant_id, account_ids, {g.identity_id for g in graves if g.identity_id}, at, actor)
    _purge_values(tenant_id, Q(account_id__in=account_ids))
    for grave in graves:
        audit.record(
            tenant_id=tenant_id,
            at=at,
            actor=actor,
            channel=Channel.ADMIN,
            intent=Intent.DELETE,
            reason=Act.ACCOUNT_PURGED,
            connection_id=grave.connection_id,
            account_id=grave.pk,
            identity_id=grave.identity_id,
        )


def _forget_identities(
    tenant_id: UUID, account_ids: Sequence[UUID], identity_ids: set[UUID], at: datetime, actor: Actor
) -> None:
    """Those of whom no account and no unpurged tombstone is left; who signs in here keeps the name for that.

    `identity_ids` are whose the accounts were in the end. Before that they may have been of others, who still show what
    they said.
    """
    linked = AuditRecord.objects.filter(
        Q(changes__contains=[{"change": "CreateAccount"}]) | Q(changes__contains=[{"change": "LinkAccount"}]),
        tenant_id=tenant_id,
        account_id__in=account_ids,
    )
    before = set(linked.exclude(identity_id=None).values_list("identity_id", flat=True))
    live = Account.objects.filter(tenant_id=tenant_id, identity=OuterRef("pk"), deleted_at__isnull=True)
    kept = Tombstone.objects.filter(tenant_id=tenant_id, identity=OuterRef("pk"), purged_at__isnull=True)
    left = list(
        Identity.objects.select_for_update(no_key=True)
        .filter(
            Q(pk__in=identity_ids) | Q(pk__in=before, local=False, kind=Identity.Kind.PERSON),
            ~Exists(live),
            ~Exists(kept),
            tenant_id=tenant_id,
        )
        .order_by("id")
        .values_list("pk", "local", "login_name")
    )
    own_names = {pk: name or "" for pk, local, name in left if local}
    gone = [pk for pk, local, _ in left if not local]
    gone += _ended_in(tenant_id, gone)
    Identity.objects.filter(tenant_id=tenant_id, pk__in=[*gone, *own_names]).update(**_NO_PROFILE)
    for pk, name in own_names.items():
        Identity.objects.filter(tenant_id=tenant_id, pk=pk).update(user_name=name, user_name_key=fold(name))
    Alias.objects.filter(tenant_id=tenant_id, identity_id__in=gone).delete()
    overrides = Override.objects.filter(tenant_id=tenant_id, identity_id__in=gone)
    overrides.filter(ended_at__isnull=True).update(ended_at=at, ended_by=actor.signature)
    overrides.update(value="", instead_of="", reason="")
    AuditValue.objects.filter(tenant_id=tenant_id, identity_id__in=gone).delete()
    # Beside the record of a merge, and of its end, is what whoever stayed showed of whoever had ended.
    parted = list(Merge.objects.filter(tenant_id=tenant_id, loser_id__in=gone).values_list("pk", "winner_id"))
    shown = Q(identity_id__in={winner for _, winner in parted}, object_id__in=[key for key, _ in parted])
    _purge_values(tenant_id, shown)


def _ended_in(tenant_id: UUID, identity_ids: list[UUID]) -> list[UUID]:
    """The same people under the ids that they had before they were found to be one."""
    found: list[UUID] = []
    while identity_ids:
        rows = Identity.objects.filter(tenant_id=tenant_id, merged_into_id__in=identity_ids)
        identity_ids = list(rows.values_list("pk", flat=True))
        found += identity_ids
    return found


def _purge_values(tenant_id: UUID, which: Q) -> None:
    """Personal values that the audit kept beside its rows."""
    rows = AuditRecord.objects.filter(which, tenant_id=tenant_id).values("pk")
    AuditValue.objects.filter(tenant_id=tenant_id, record_id__in=rows).delete()


def purge_sessions(*, tenant_id: UUID | None, identity_id: UUID, begun_by: datetime) -> int:
    """Deletes the session rows that an identity's raised epoch has ended: those that began before it rose."""
    deleted, _ = Session.objects.filter(
        tenant_id=tenant_id, identity_id=identity_id, created_at__lte=begun_by
    ).delete()
    return deleted


def trim_sessions(*, at: datetime) -> int:
    """Deletes expired sessions, of every tenant and of nobody."""
    deleted, _ = Session.objects.filter(Q(expire_date__lt=at) | Q(ends_unused_at__lt=at)).delete()
    return deleted


def trim_outbox(*, at: datetime) -> int:
    """Deletes messages that were delivered a while ago."""
    deleted, _ = OutboxMessage.objects.filter(done_at__lt=at - DELIVERED_MESSAGES_KEPT).delete()
    return deleted


def trim_found(*, at: datetime) -> int:
    """Deletes what assertions brought instead of what was expected. No account's end would: most made none, and whom
    they may have spoken of is another."""
    refused = AuditRecord.objects.filter(
        pk=OuterRef("record_id"), channel=Channel.SAML, at__lt=at - FOUND_KEPT
    )
    return AuditValue.objects.filter(Exists(refused), values__has_key="found").delete()[0]


def trim_requests(*, at: datetime) -> int:
    """Deletes what has been in the provisioning log for 90 days, in short transactions."""
    old = ScimRequest.objects.filter(at__lt=at - REQUESTS_KEPT).order_by("at").values_list("pk", flat=True)
    trimmed = 0
    while ids := list(old[:ROWS_AT_ONCE]):
        trimmed += ScimRequest.objects.filter(pk__in=ids).delete()[0]
    return trimmed


def trim_runs(*, at: datetime) -> int:
    """Deletes what runs only reported, or found settled, after 30 days, and runs with all of their items after a year.

    What a run did stays in the audit. In short transactions; answers how many items went.
    """
    old = ReconciliationRun.objects.filter(finished_at__lt=at - REPORTS_KEPT)
    said = [ReconciliationItem.Status.REPORTED, ReconciliationItem.Status.UNCHANGED]
    over = old.filter(finished_at__lt=at - RUNS_KEPT)
    trimmed = 0
    for rows in (
        ReconciliationItem.objects.filter(run__in=old, status__in=said),
        ReconciliationItem.objects.filter(run__in=over),
    ):
        while ids := list(rows.values_list("pk", flat=True)[:ROWS_AT_ONCE]):
            trimmed += ReconciliationItem.objects.filter(pk__in=ids).delete()[0]
    over.delete()
    return trimmed
