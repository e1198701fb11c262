"""The start page: the numbers and the charts of the user's tenant, or of the installation for its superuser."""

from collections.abc import Callable
from datetime import datetime
from time import monotonic
from typing import Any, TypeVar
from urllib.parse import urlencode
from uuid import UUID

from django.contrib.admin import site
from django.core.cache import cache
from django.http import HttpRequest
from django.urls import reverse

from identity_hub.core.clock import now
from provisioning.decision.posture import Cover
from provisioning.decision.types import Severity
from provisioning.selectors import trends
from provisioning.selectors.overview import Overview, overview
from provisioning.selectors.posture import posture
from provisioning.selectors.timeline import HOLD_NAMES, meaning

from . import charts
from .base import tenant_of
from .charts import Series

DEAR = 0.3
"""Seconds from which on an answer is kept for a minute; what is quickly counted is never old."""
KEPT_SECONDS = 60

T = TypeVar("T")


def numbers(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    at = now()
    tenant_id = tenant_of(request)
    shown = _kept("overview", tenant_id, lambda: overview(tenant_id=tenant_id, at=at))
    by_day = _kept("trends", tenant_id, lambda: _trends(tenant_id, at))
    return {
        **context,
        "title": "Start",
        "shown": shown,
        "at": at,
        "holds": [
            (HOLD_NAMES.get(kind, kind), number)
            for kind, number in sorted(shown.people.holds.items(), key=lambda pair: -pair[1])
        ],
        "refusals": [
            (code, meaning(code), number) for code, number in list(shown.logins.refusals.items())[:5]
        ],
        "notices": [
            notice
            for page in site.pages()
            if hasattr(page, "notices") and page.has_view_permission(request)
            for notice in page.notices(request, at)
        ],
        "more_numbers": [
            number
            for page in site.pages()
            if hasattr(page, "numbers") and page.has_view_permission(request)
            for number in page.numbers(request, at.replace(hour=0, minute=0, second=0, microsecond=0))
        ],
        "people_chart": _people(shown),
        "findings_chart": _findings(shown),
        "posture": _kept("posture", tenant_id, lambda: _posture(tenant_id, at, shown.people.enabled))
        if tenant_id
        else None,
        **by_day,
    }


def _kept(name: str, tenant_id: UUID | None, ask: Callable[[], T]) -> T:
    key = f"start:{name}:{tenant_id}"
    kept: T | None = cache.get(key)
    if kept is not None:
        return kept
    began = monotonic()
    answer = ask()
    if monotonic() - began > DEAR:
        cache.set(key, answer, KEPT_SECONDS)
    return answer


def _posture(tenant_id: UUID, at: datetime, enabled: int) -> dict[str, int]:
    covers = [line.judged.cover for line in posture(tenant_id, at, enabled=enabled)]
    return {
        "not_covered": covers.count(Cover.NOT_COVERED),
        "cannot_say": covers.count(Cover.CANNOT_SAY),
        "covered": covers.count(Cover.COVERED),
    }


def _list(page: str, **filters: str) -> str:
    return f"{reverse(f'admin:provisioning_{page}_changelist')}?{urlencode(filters)}"


def _people(shown: Overview) -> charts.Bars:
    people = shown.people
    rows = [
        ("Enabled", "good", people.enabled, _list("identity", state="enabled")),
        *(
            (f"Held: {HOLD_NAMES.get(kind, kind)}", "bad", number, _list("identity", state=f"held-{kind}"))
            for kind, number in sorted(people.holds.items())
        ),
        ("Deleted", "dim", people.deleted, _list("identity", state="deleted")),
        ("Unconfirmed", "warn", people.unconfirmed, _list("identity", state="unconfirmed")),
        ("Waiting for their link", "violet", people.unlinked, _list("account", identity__isnull="True")),
    ]
    return charts.bars(
        [label for label, _, _, _ in rows],
        [
            Series(name=label, tone=tone, values=[number if other == label else 0 for other, _, _, _ in rows])
            for label, tone, number, _ in rows
        ],
        links=[link for _, _, _, link in rows],
    )


_TONES = {Severity.HIGH: "bad", Severity.MEDIUM: "warn", Severity.LOW: "calm"}


def _findings(shown: Overview) -> charts.Bars:
    ages = shown.findings.by_age
    return charts.bars(
        [age.capitalize() for age in ages],
        [
            Series(
                name=str(severity),
                tone=_TONES.get(severity, "violet"),
                values=[by[severity] for by in ages.values()],
            )
            for severity in reversed(Severity)
        ],
        links=[_list("finding", age=age) for age in ages],
    )


def _trends(tenant_id: UUID | None, at: datetime) -> dict[str, Any]:
    logins = trends.logins_by_day(tenant_id=tenant_id, at=at)
    runs = trends.runs_by_day(tenant_id=tenant_id, at=at)
    lags = trends.lag(tenant_id=tenant_id, at=at)
    tones = dict(zip(trends.KINDS, ("bad", "good", "calm", "violet"), strict=True))
    return {
        "logins_chart": charts.columns(
            [f"{day.day:%d %b}" for day in logins],
            [
                Series(name="admitted", tone="calm", values=[day.admitted for day in logins]),
                Series(name="refused", tone="bad", values=[day.refused for day in logins]),
            ],
        ),
        "runs_chart": charts.columns(
            [f"{day.day:%d %b}" for day in runs],
            [
                Series(name=kind, tone=tones[kind], values=[day.done.get(kind, 0) for day in runs])
                for kind in trends.KINDS
            ],
        ),
        "runs_told": {
            name: sum(getattr(day, name) for day in runs) for name in ("runs", "waiting", "failed")
        },
        "lag_chart": charts.bars(
            [lag.name.capitalize() for lag in lags],
            [
                Series(name="confirmed", tone="good", values=[lag.confirmed for lag in lags]),
                Series(name="still open", tone="warn", values=[lag.unconfirmed for lag in lags]),
            ],
        ),
    }
