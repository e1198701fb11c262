"""How things went day by day, for one tenant or the whole installation. Knows no page.

Each of these is one statement that an index answers, or that looks at a capped number of rows.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

from provisioning import sql
from provisioning.decision.reasons import Reason
from provisioning.decision.types import Verdict
from provisioning.models import Connection, ReconciliationRun

DAYS = 14
RUNS_AT_MOST = 5000
ITEMS_LOOKED_AT = 200_000
LOGINS_LOOKED_AT = 100_000
"""Accounts that logins made, of which the lag is told: the newest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginDay:
    day: date
    admitted: int
    refused: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RunDay:
    """`done` counts what runs did and nobody has taken back, by kind of item; `waiting` are runs that a person has to
    look at."""

    day: date
    done: Mapping[str, int] = field(default_factory=dict)
    runs: int = 0
    waiting: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Lag:
    """Accounts that a login made: how many SCIM or a roster confirmed so soon, and how many are so old and are not."""

    name: str
    confirmed: int
    unconfirmed: int


def days_until(at: datetime, number: int = DAYS) -> list[date]:
    today = at.astimezone(UTC).date()
    return [today - timedelta(days=back) for back in reversed(range(number))]


def _since(at: datetime) -> datetime:
    first = days_until(at)[0]
    return datetime(first.year, first.month, first.day, tzinfo=UTC)


# Day by day: counting a range of an index costs half of what sorting its rows into days does.
_LOGINS = """
SELECT day, counted.total, counted.refused
  FROM generate_series(%(since)s::timestamptz, %(at)s::timestamptz, interval '1 day') AS day, LATERAL (
       SELECT count(*) AS total, count(*) FILTER (WHERE verdict = ANY(%(refusals)s)) AS refused
         FROM provisioning_auditrecord
        WHERE reason LIKE 'login:%%' AND at >= day AND at < day + interval '1 day' {tenant}) AS counted
"""


def logins_by_day(*, tenant_id: UUID | None, at: datetime) -> list[LoginDay]:
    parameters = {
        "since": _since(at),
        "at": at,
        "refusals": [Verdict.REFUSED.value, Verdict.PENDING.value],
        "tenant": tenant_id,
    }
    statement = _LOGINS.format(tenant="" if tenant_id is None else "AND tenant_id = %(tenant)s")
    counted = {
        began.astimezone(UTC).date(): (total - refused, refused)
        for began, total, refused in sql.rows(statement, parameters, prepared=False)
    }
    return [LoginDay(day=day, admitted=counted[day][0], refused=counted[day][1]) for day in days_until(at)]


TAKES = "access taken"
BRINGS = "people brought in or linked"
CHANGES = "accounts changed"
MENDS = "sessions and groups put right"

_KIND_OF: dict[str, str] = {
    Reason.ACCOUNT_EXPIRED: TAKES,
    Reason.ACCOUNT_MISSING: TAKES,
    Reason.ACCOUNT_DISABLED: TAKES,
    Reason.ACCOUNT_DELETED: TAKES,
    Reason.ACCOUNT_CREATED: BRINGS,
    Reason.ACCOUNT_ADOPTED: BRINGS,
    Reason.ACCOUNT_LINKED: BRINGS,
    Reason.ACCOUNT_LINK_PENDING: BRINGS,
    Reason.ACCOUNT_IDENTITY_CREATED: BRINGS,
    Reason.ACCOUNT_REACTIVATED: BRINGS,
    Reason.ACCOUNT_RETURNED: BRINGS,
    Reason.ACCOUNT_ENABLED: BRINGS,
    Reason.ACCOUNT_UPDATED: CHANGES,
    Reason.IDENTITY_SESSION_OF_HELD: MENDS,
    Reason.GROUP_UPDATED: MENDS,
}
KINDS: Sequence[str] = (TAKES, BRINGS, CHANGES, MENDS)
"""What a run does; what it only reports, it does not do."""

_Status = ReconciliationRun.Status
_EXECUTED = (_Status.DONE, _Status.EXECUTING, _Status.CANCELLED, _Status.OVERTAKEN)


def runs_by_day(*, tenant_id: UUID | None, at: datetime) -> list[RunDay]:
    """By the day on which a run began. Of a superuser's installation the newest `RUNS_AT_MOST` runs count."""
    rows = ReconciliationRun.objects.filter(started_at__gte=_since(at))
    if tenant_id is not None:
        # The index of runs begins with the connection.
        own = Connection.objects.filter(tenant_id=tenant_id).values("pk")
        rows = rows.filter(tenant_id=tenant_id, connection__in=own)
    runs = list(
        rows.order_by("-started_at").values_list("pk", "started_at", "status", "counts")[:RUNS_AT_MOST]
    )
    did = _did({key: counts for key, _, status, counts in runs if status in _EXECUTED})
    done: dict[date, Counter[str]] = {day: Counter() for day in days_until(at)}
    states: dict[date, Counter[Any]] = {day: Counter() for day in days_until(at)}
    for key, began, status, _ in runs:
        day = began.astimezone(UTC).date()
        if day not in states:
            continue
        states[day][status] += 1
        for reason, number in did.get(key, {}).items():
            if reason in _KIND_OF:
                done[day][_KIND_OF[reason]] += number
    return [
        RunDay(
            day=day,
            done=dict(done[day]),
            runs=states[day].total(),
            waiting=states[day][_Status.QUARANTINED],
            failed=states[day][_Status.FAILED],
        )
        for day in days_until(at)
    ]


_DID = """
SELECT run_id, reason, count(*)
  FROM (SELECT run_id, reason FROM provisioning_reconciliationitem
         WHERE run_id = ANY(%s::uuid[]) AND status = 'applied' LIMIT %s) done
 GROUP BY run_id, reason
"""


def _did(planned: Mapping[UUID, Mapping[str, int]]) -> Mapping[UUID, Mapping[str, int]]:
    """Run -> items done, by reason; where they are very many, those that its plan foresaw."""
    if not planned:
        return {}
    did: dict[UUID, dict[str, int]] = {}
    rows = sql.rows(_DID, (sql.ids(planned), ITEMS_LOOKED_AT), prepared=False)
    for key, reason, number in rows:
        did.setdefault(key, {})[reason] = number
    return planned if sum(number for _, _, number in rows) >= ITEMS_LOOKED_AT else did


LAGS = (
    ("within the hour", timedelta(hours=1)),
    ("within a day", timedelta(days=1)),
    ("within a week", timedelta(days=7)),
    ("within 30 days", timedelta(days=30)),
    ("later", None),
)
"""Between the login that made an account and the first word of its directory: (name, at most)."""

_LAG = """
SELECT confirmed_at IS NOT NULL, width_bucket(coalesce(confirmed_at, %(at)s::timestamptz) - created_at, %(limits)s::interval[]), count(*)
  FROM (SELECT confirmed_at, created_at FROM provisioning_account
         WHERE origin = 'jit' AND deleted_at IS NULL {tenant}
         ORDER BY created_at DESC LIMIT %(most)s) newest
 GROUP BY 1, 2
"""  # noqa: E501 - one expression


def lag(*, tenant_id: UUID | None, at: datetime) -> list[Lag]:
    limits = [upto for _, upto in LAGS if upto is not None]
    parameters = {"at": at, "limits": limits, "most": LOGINS_LOOKED_AT, "tenant": tenant_id}
    statement = _LAG.format(tenant="" if tenant_id is None else "AND tenant_id = %(tenant)s")
    counted = {(done, bucket): number for done, bucket, number in sql.rows(statement, parameters)}
    return [
        Lag(name=name, confirmed=counted.get((True, number), 0), unconfirmed=counted.get((False, number), 0))
        for number, (name, _) in enumerate(LAGS)
    ]
