"""What the stored facts of one connection leave open, one query for each question. Knows no reaction.

Every query takes a connection, which carries its tenant, and `among`: the ids to look at again, or None for all.
Rows are streamed, so that memory does not grow with the connection.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Exists, OuterRef, Q, QuerySet, Subquery, TextField
from django.db.models.fields.json import KT
from django.db.models.functions import Cast, Coalesce

from provisioning.decision.policy import Policy, Switch
from provisioning.decision.reasons import FindingKind
from provisioning.decision.types import HoldKind
from provisioning.models import (
    Account,
    Connection,
    Finding,
    Hold,
    Identity,
    Membership,
    OutboxMessage,
    ReconciliationRun,
    Session,
)

CHUNK = 2000
Among = Collection[UUID] | None


def _live(connection: Connection, among: Among) -> QuerySet[Account]:
    rows = Account.objects.filter(
        tenant_id=connection.tenant_id, connection_id=connection.pk, deleted_at__isnull=True
    )
    return rows if among is None else rows.filter(pk__in=among)


def population(connection: Connection) -> int:
    return _live(connection, None).count()


def with_access(tenant_id: UUID, connection: Connection | None = None) -> int:
    """How many active accounts, of the tenant or of one connection, belong to somebody whom nothing holds.

    Attack: whoever left long ago would be counted as somebody who stays, and all who are here could go at once.
    """
    held = Hold.objects.filter(tenant_id=tenant_id, identity=OuterRef("identity"))
    rows = Account.objects.filter(
        ~Exists(held), tenant_id=tenant_id, deleted_at__isnull=True, active=True, identity__isnull=False
    )
    return (rows if connection is None else rows.filter(connection_id=connection.pk)).count()


def approved_since(tenant_id: UUID, limit: datetime) -> Exists:
    """Of accounts: whether somebody still has to approve of one, or did so no earlier than this."""
    return Exists(
        Finding.objects.filter(
            Q(status=Finding.Status.OPEN) | Q(decided_at__gte=limit),
            tenant_id=tenant_id,
            account=OuterRef("pk"),
            kind=FindingKind.APPROVAL_REQUESTED.value,
        )
    )


def asked_about(tenant_id: UUID) -> Exists:
    """Of accounts: whether one was held for its grace before; where it is open again, a person let it back in."""
    return Exists(
        Finding.objects.filter(
            tenant_id=tenant_id, account=OuterRef("pk"), kind=FindingKind.UNCONFIRMED.value
        )
    )


def unconfirmed(
    connection: Connection, policy: Policy, at: datetime, among: Among = None
) -> Iterator[tuple[UUID, UUID]]:
    """(account, identity) of JIT accounts that outlived their grace and are not held for it yet (row 24).

    Whoever was held for it once and is not any more was let back in by a person, whose word stands. Of who needed an
    approval the grace begins when it was given.
    """
    rows = _live(connection, among).filter(confirmed_at__isnull=True, identity__isnull=False)
    if policy.has_lifecycle_source:
        limit = policy.confirmed_by(at)
        if limit is None:
            return
        rows = rows.filter(created_at__lt=limit)
    else:
        limit = at - policy.jit_idle_grace
        rows = rows.filter(created_at__lt=limit).exclude(last_login_at__gte=limit)
    held = Hold.objects.filter(
        tenant_id=connection.tenant_id,
        identity=OuterRef("identity"),
        kind=HoldKind.EXPIRY.value,
        source_account_id=OuterRef("pk"),
    )
    asked = asked_about(connection.tenant_id)
    found = rows.filter(~Exists(held), ~asked, ~approved_since(connection.tenant_id, limit)).order_by("id")
    found = found.values_list("id", "identity_id")
    yield from found.iterator(chunk_size=CHUNK)


def never_came(connection: Connection, among: Among = None) -> Iterator[tuple[UUID, UUID]]:
    """(account, identity) of active people whom SCIM delivered and who never signed in (row 25)."""
    rows = _live(connection, among).filter(
        active=True,
        confirmed_at__isnull=False,
        last_login_at__isnull=True,
        identity__isnull=False,
        identity__last_login__isnull=True,
    )
    yield from rows.order_by("id").values_list("id", "identity_id").iterator(chunk_size=CHUNK)


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """An account that no identity is tied to. `asked`: an open finding asks a person whose it is."""

    account_id: UUID
    user_name: str
    external_id: str | None
    email_keys: list[str]
    resource: dict[str, Any]
    assertion: dict[str, Any]
    asked: bool


def waiting(connection: Connection, among: Among = None) -> Iterator[Waiting]:
    asked = Finding.objects.filter(
        tenant_id=connection.tenant_id, account=OuterRef("pk"), status=Finding.Status.OPEN
    )
    rows = (
        _live(connection, among)
        .filter(identity__isnull=True)
        .annotate(asked=Exists(asked))
        .order_by("id")
        .values_list("id", "user_name", "external_id", "email_keys", "resource", "assertion", "asked")
    )
    for account_id, user_name, external_id, email_keys, resource, assertion, is_asked in rows.iterator(
        chunk_size=CHUNK
    ):
        yield Waiting(
            account_id=account_id,
            user_name=user_name,
            external_id=external_id,
            email_keys=email_keys,
            resource=resource,
            assertion=assertion,
            asked=is_asked,
        )


def held_with_sessions(connection: Connection, at: datetime, among: Among = None) -> Iterator[UUID]:
    """Identities with an account here that are not enabled, yet have a session whose end is not ordered yet."""
    tenant_id = connection.tenant_id
    sessions = Session.objects.filter(tenant_id=tenant_id, identity=OuterRef("pk"), expire_date__gt=at)
    here = Account.objects.filter(tenant_id=tenant_id, connection_id=connection.pk, identity=OuterRef("pk"))
    ordered = OutboxMessage.objects.annotate(whose=KT("payload__identity")).filter(
        tenant_id=tenant_id,
        topic="sessions.purge",
        done_at__isnull=True,
        whose=Cast(OuterRef("pk"), TextField()),
    )
    rows = (
        Identity.objects.with_state()
        .filter(Q(enabled=False), Exists(sessions), Exists(here), ~Exists(ordered), tenant_id=tenant_id)
        .order_by("id")
    )
    if among is not None:
        rows = rows.filter(pk__in=among)
    yield from rows.values_list("id", flat=True).iterator(chunk_size=CHUNK)


def ghost_memberships(connection: Connection, among: Among = None) -> Iterator[tuple[UUID, UUID]]:
    """(account, group) of memberships whose account is deleted."""
    rows = Membership.objects.filter(
        tenant_id=connection.tenant_id,
        group__connection_id=connection.pk,
        account__deleted_at__isnull=False,
    )
    if among is not None:
        rows = rows.filter(account_id__in=among)
    yield from rows.order_by("id").values_list("account_id", "group_id").iterator(chunk_size=CHUNK)


def running(connection: Connection) -> ReconciliationRun | None:
    """The run that occupies the connection: one at work, one in quarantine, or one released from there."""
    status = ReconciliationRun.Status
    released = Q(status=status.SIMULATED) & ~Q(released_by="")
    return ReconciliationRun.objects.filter(
        Q(status__in=(status.SIMULATING, status.EXECUTING, status.QUARANTINED)) | released,
        tenant_id=connection.tenant_id,
        connection_id=connection.pk,
    ).first()


def runs_stopped(connection: Connection) -> bool:
    """By an administrator, who stopped them or disabled the connection; asked anew each time."""
    rows = Connection.objects.filter(tenant_id=connection.tenant_id, pk=connection.pk)
    stopped = Q(stopped__has_key=Switch.RUNS.value) | Q(status=Connection.Status.DISABLED)
    return rows.filter(stopped).exists()


def overdue(since: datetime) -> Iterator[Connection]:
    """Active connections of every tenant of which no run has finished since then, though one should have.

    Each with `last_finished_at` and `last_status`, of its newest run. Where runs are stopped none is expected.
    """
    runs = ReconciliationRun.objects.filter(tenant=OuterRef("tenant"), connection=OuterRef("pk"))
    finished = runs.filter(status=ReconciliationRun.Status.DONE).order_by("-finished_at")
    rows = (
        Connection.objects.filter(status=Connection.Status.ACTIVE)
        .exclude(stopped__has_key=Switch.RUNS.value)
        .annotate(
            last_finished_at=Subquery(finished.values("finished_at")[:1]),
            last_status=Subquery(runs.order_by("-started_at").values("status")[:1]),
            expected_since=Coalesce("runs_expected_since", "created_at"),
        )
        .filter(Q(last_finished_at__isnull=True) | Q(last_finished_at__lt=since), expected_since__lt=since)
        .order_by("tenant_id", "pk")
    )
    yield from rows.iterator(chunk_size=CHUNK)


def due(at: datetime) -> Iterator[tuple[UUID, UUID]]:
    """(tenant, connection) of every active connection whose runs are not stopped, tenant by tenant.

    Also where one waits in quarantine: a newer roster may have ended its case.
    """
    rows = Connection.objects.filter(
        ~Q(stopped__has_key=Switch.RUNS.value),
        status=Connection.Status.ACTIVE,
        created_at__lte=at,
    ).order_by("tenant_id", "id")
    yield from rows.values_list("tenant_id", "id").iterator(chunk_size=CHUNK)
