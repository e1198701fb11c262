"""The numbers an administrator wants first, in a constant number of statements. Knows no page."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Count, Exists, F, Min, OuterRef, Q, QuerySet, Subquery

from provisioning.decision.types import Severity, Verdict
from provisioning.models import Account, AuditRecord, Connection, Finding, Hold, Identity, ReconciliationRun

from .connections import live_accounts

CONNECTIONS_SHOWN = 12

AGES = (
    ("today", timedelta(0), timedelta(days=1)),
    ("this week", timedelta(days=1), timedelta(days=7)),
    ("this month", timedelta(days=7), timedelta(days=30)),
    ("older", timedelta(days=30), None),
)
"""How long a finding has waited: (name, from, up to)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class People:
    enabled: int
    held: int
    without_account: int
    """No hold, but no live account either: nobody has asked for them back, nobody may sign in."""
    unconfirmed: int
    """Live accounts that only a login made."""
    holds: dict[str, int]
    """People by kind of hold; who has two kinds counts twice."""

    @property
    def total(self) -> int:
        return self.enabled + self.held + self.without_account


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    by_age: dict[str, int]
    high: int
    oldest: datetime | None

    @property
    def total(self) -> int:
        return sum(self.by_age.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Logins:
    """Decided logins since midnight UTC. What was refused before anybody was recognised is not here."""

    admitted: int
    refused: int
    refusals: dict[str, int]
    """Refusals by reason code, most frequent first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    people: People
    findings: Findings
    logins: Logins
    connections: list[Connection]
    """Those shown, each with `tenant`, `live_accounts`, `last_run_at` and `last_run_status`."""
    connection_count: int
    quarantined_runs: int


def _of(rows: QuerySet[Any], tenant_id: UUID | None) -> QuerySet[Any]:
    return rows if tenant_id is None else rows.filter(tenant_id=tenant_id)


def overview(*, tenant_id: UUID | None, at: datetime) -> Overview:
    """Everything of one tenant; of the whole installation for None, which is its superuser's alone."""
    connections = _of(Connection.objects.all(), tenant_id)
    return Overview(
        people=_people(tenant_id),
        findings=_findings(tenant_id, at),
        logins=_logins(tenant_id, at.replace(hour=0, minute=0, second=0, microsecond=0)),
        connections=_shown(connections),
        connection_count=connections.count(),
        quarantined_runs=_of(
            ReconciliationRun.objects.filter(status=ReconciliationRun.Status.QUARANTINED), tenant_id
        ).count(),
    )


def _people(tenant_id: UUID | None) -> People:
    states = (
        _of(Identity.objects.filter(tenant__isnull=False), tenant_id)
        .with_state()
        .aggregate(
            who_may=Count("pk", filter=Q(enabled=True)),
            who_may_not=Count("pk", filter=Q(held=True)),
            total=Count("pk"),
        )
    )
    holds = _of(Hold.objects.all(), tenant_id).values_list("kind").annotate(Count("identity", distinct=True))
    unconfirmed = _of(
        Account.objects.filter(confirmed_at__isnull=True, deleted_at__isnull=True), tenant_id
    ).count()
    return People(
        enabled=states["who_may"],
        held=states["who_may_not"],
        without_account=states["total"] - states["who_may"] - states["who_may_not"],
        unconfirmed=unconfirmed,
        holds=dict(holds.order_by("kind")),
    )


def opened_between(at: datetime, since: timedelta, until: timedelta | None) -> Q:
    """Findings that have waited at least `since` and less than `until`."""
    condition = Q(opened_at__lte=at - since) if since else Q()
    return condition if until is None else condition & Q(opened_at__gt=at - until)


def _findings(tenant_id: UUID | None, at: datetime) -> Findings:
    counts = _of(Finding.objects.filter(status=Finding.Status.OPEN), tenant_id).aggregate(
        **{
            f"age_{number}": Count("pk", filter=opened_between(at, since, until))
            for number, (_, since, until) in enumerate(AGES)
        },
        high=Count("pk", filter=Q(severity=Severity.HIGH)),
        oldest=Min("opened_at"),
    )
    return Findings(
        by_age={name: counts[f"age_{number}"] for number, (name, _, _) in enumerate(AGES)},
        high=counts["high"],
        oldest=counts["oldest"],
    )


def _logins(tenant_id: UUID | None, since: datetime) -> Logins:
    records = _of(AuditRecord.objects.all(), tenant_id)
    # Ids rise with time and the index is (tenant, -id): walking back from the newest record ends at the first
    # one before today, so the cost is today's records and not the table's.
    yesterday = records.filter(at__lt=since).order_by("-id").values("id")[:1]
    today = records.filter(reason__startswith="login:").filter(
        Q(id__gt=Subquery(yesterday)) | ~Exists(yesterday)
    )
    admitted, refused, refusals = 0, 0, {}
    for verdict, reason, count in (
        today.order_by().values_list("verdict", "reason").annotate(count=Count("id")).order_by("-count")
    ):
        if verdict in (Verdict.REFUSED, Verdict.PENDING):
            refused += count
            refusals[reason] = count
        elif verdict in (Verdict.APPLIED, Verdict.UNCHANGED):
            admitted += count
    return Logins(admitted=admitted, refused=refused, refusals=refusals)


def _shown(connections: QuerySet[Connection]) -> list[Connection]:
    last_run = ReconciliationRun.objects.filter(
        tenant=OuterRef("tenant"), connection=OuterRef("pk")
    ).order_by("-started_at")
    return list(
        connections.select_related("tenant")
        .annotate(
            live_accounts=live_accounts(),
            last_run_at=Subquery(last_run.values("started_at")[:1]),
            last_run_status=Subquery(last_run.values("status")[:1]),
        )
        # Those that push most recently first; those that never did are last.
        .order_by(F("last_push_at").desc(nulls_last=True), "name")[:CONNECTIONS_SHOWN]
    )
