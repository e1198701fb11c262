"""The numbers an administrator wants first, in a constant number of statements. Knows no page."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Count, F, Min, OuterRef, Q, QuerySet, Subquery

from provisioning import sql
from provisioning.decision.types import Severity, Verdict
from provisioning.models import Account, AuditRecord, Connection, Finding, ReconciliationRun

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
    deleted: int
    """No live account, whether held or not, and not local."""
    unconfirmed: int
    """Live accounts that only a login made."""
    unlinked: int
    """Live accounts that wait for somebody to say whose they are."""
    holds: dict[str, int]
    """People by kind of hold; who has two kinds counts twice."""

    @property
    def total(self) -> int:
        return self.enabled + self.held + self.without_account


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    by_age: dict[str, dict[str, int]]
    """By severity within each age."""
    oldest: datetime | None

    @property
    def total(self) -> int:
        return sum(sum(numbers.values()) for numbers in self.by_age.values())

    @property
    def high(self) -> int:
        return sum(numbers[Severity.HIGH] for numbers in self.by_age.values())


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
        people=people(tenant_id),
        findings=findings(tenant_id, at),
        logins=_logins(tenant_id, at.replace(hour=0, minute=0, second=0, microsecond=0)),
        connections=_shown(connections),
        connection_count=connections.count(),
        quarantined_runs=_of(
            ReconciliationRun.objects.filter(status=ReconciliationRun.Status.QUARANTINED), tenant_id
        ).count(),
    )


# Enabled is no hold, and a live account or a local identity (`IdentityQuerySet.with_state`). Asked of each person that
# would read every row; counted from its parts it reads indexes alone, and the rows of those who are held or local.
_PEOPLE = """
WITH of_hub AS (
    SELECT id FROM provisioning_identity i WHERE local AND {scope} AND NOT EXISTS (
        SELECT FROM provisioning_account a
         WHERE a.tenant_id = i.tenant_id AND a.identity_id = i.id AND a.deleted_at IS NULL)
)
SELECT (SELECT count(*) FROM provisioning_identity WHERE {scope})
         - (SELECT count(*) FROM provisioning_identity WHERE merged_into_id IS NOT NULL AND {scope}),
       (SELECT count(*) FROM (SELECT FROM provisioning_account
                               WHERE deleted_at IS NULL AND identity_id IS NOT NULL AND {scope}
                               GROUP BY identity_id) accounted),
       (SELECT count(*) FROM of_hub),
       (SELECT count(DISTINCT h.identity_id) FROM provisioning_hold h JOIN of_hub ON of_hub.id = h.identity_id)
         + (SELECT count(DISTINCT h.identity_id) FROM provisioning_hold h
              JOIN provisioning_account a ON a.tenant_id = h.tenant_id AND a.identity_id = h.identity_id
             WHERE a.deleted_at IS NULL AND h.{scope})
"""

# In one reading: by kind, and (the row without one) all of them, of whom some have two.
_HOLDS = """
SELECT kind, count(DISTINCT identity_id) FROM provisioning_hold WHERE {scope} GROUP BY GROUPING SETS ((kind), ())
"""


def people(tenant_id: UUID | None) -> People:
    scope = "tenant_id IS NOT NULL" if tenant_id is None else "tenant_id = %(tenant)s"
    parameters = {"tenant": tenant_id}
    [(total, accounted, of_hub, held_back)] = sql.rows(
        _PEOPLE.format(scope=scope), parameters, prepared=False
    )
    enabled = accounted + of_hub - held_back
    holds = dict(sql.rows(_HOLDS.format(scope=scope), parameters, prepared=False))
    held = holds.pop(None, 0)
    live = _of(Account.objects.filter(deleted_at__isnull=True), tenant_id)
    return People(
        enabled=enabled,
        held=held,
        without_account=total - enabled - held,
        deleted=total - accounted - of_hub,
        unconfirmed=live.filter(confirmed_at__isnull=True).count(),
        unlinked=live.filter(identity__isnull=True).count(),
        holds=dict(sorted(holds.items())),
    )


def opened_between(at: datetime, since: timedelta, until: timedelta | None) -> Q:
    """Findings that have waited at least `since` and less than `until`."""
    condition = Q(opened_at__lte=at - since) if since else Q()
    return condition if until is None else condition & Q(opened_at__gt=at - until)


def findings(tenant_id: UUID | None, at: datetime) -> Findings:
    counts = _of(Finding.objects.filter(status=Finding.Status.OPEN), tenant_id).aggregate(
        **{
            f"{severity}_{number}": Count(
                "pk", filter=opened_between(at, since, until) & Q(severity=severity)
            )
            for number, (_, since, until) in enumerate(AGES)
            for severity in Severity
        },
        oldest=Min("opened_at"),
    )
    return Findings(
        by_age={
            name: {severity: counts[f"{severity}_{number}"] for severity in Severity}
            for number, (name, _, _) in enumerate(AGES)
        },
        oldest=counts["oldest"],
    )


def _logins(tenant_id: UUID | None, since: datetime) -> Logins:
    today = _of(AuditRecord.objects.filter(reason__startswith="login:", at__gte=since), tenant_id)
    admitted, refused, refusals = 0, 0, {}
    for verdict, reason, count in (
        today.order_by().values_list("verdict", "reason").annotate(count=Count("*")).order_by("-count")
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
