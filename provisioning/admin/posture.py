"""The posture page of a tenant: what is covered and what is not, to read and to take along. Knows no query."""

from collections.abc import Iterable, Iterator
from typing import Any

import orjson
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import reverse

from identity_hub.core.clock import now
from provisioning.decision.posture import Check, Cover, Revocation, duration
from provisioning.models import Identity, Tenant
from provisioning.selectors import posture
from provisioning.selectors.posture import Line
from provisioning.selectors.timeline import meaning

from . import charts, export
from .base import TenantAdmin
from .charts import Series

_SIGNS = {
    Cover.COVERED: ("hub-success", "Covered", "check_circle"),
    Cover.NOT_COVERED: ("hub-danger", "Not covered", "cancel"),
    Cover.CANNOT_SAY: ("", "Cannot say", "help"),
}
_LEADS_TO = {
    "connections": ("Connections", "admin:provisioning_connection_changelist", ""),
    "unconfirmed": ("Unconfirmed people", "admin:provisioning_identity_changelist", "?state=unconfirmed"),
    "overdue": ("Overdue findings", "admin:provisioning_finding_changelist", "?due=overdue"),
    "audit-by-hand": ("Audit of administrators", "admin:provisioning_auditrecord_changelist", "?by=admin"),
    "runs": ("Runs", "admin:provisioning_reconciliationrun_changelist", ""),
    "quarantine": (
        "Runs in quarantine",
        "admin:provisioning_reconciliationrun_changelist",
        "?status__exact=quarantined",
    ),
    "sessions": ("Sessions", "admin:provisioning_opensession_changelist", ""),
}
REVOCATIONS_SHOWN = 12


def show(page: TenantAdmin, request: HttpRequest, tenant: Tenant) -> HttpResponseBase:
    at = now()
    lines = posture.posture(tenant.pk, at)
    match request.GET.get("as"):
        case "csv":
            return _taken_along(
                StreamingHttpResponse(_table(lines), content_type="text/csv; charset=utf-8"), tenant, "csv"
            )
        case "json":
            document = orjson.dumps(posture.as_document(lines, at), option=orjson.OPT_INDENT_2)
            return _taken_along(HttpResponse(document, content_type="application/json"), tenant, "json")
    return TemplateResponse(
        request,
        "provisioning/admin/posture.html",
        {
            **page.admin_site.each_context(request),
            "opts": page.opts,
            "original": tenant,
            "title": f"Posture of {tenant}",
            "at": at,
            "totals": [
                (*_SIGNS[cover], sum(line.judged.cover is cover for line in lines))
                for cover in (Cover.NOT_COVERED, Cover.CANNOT_SAY, Cover.COVERED)
            ],
            "lines": [_shown(line) for line in lines],
            "revocations": _revocations(tenant, lines),
            "ages_chart": _ages(lines),
        },
    )


def _shown(line: Line) -> dict[str, Any]:
    badge, word, icon = _SIGNS[line.judged.cover]
    title, address, query = _LEADS_TO[line.measure.page]
    return {
        "measure": line.measure,
        "judged": line.judged,
        "badge": badge,
        "word": word,
        "icon": icon,
        "is_open": line.judged.cover is not Cover.COVERED,
        "cases": [
            (case.name, reverse(f"admin:provisioning_{case.kind}_change", args=[case.id]))
            for case in line.figure.cases
        ],
        "parts": [
            (meaning(name) if ":" in name else name, number) for name, number in line.figure.parts.items()
        ],
        "link": (title, reverse(address) + query),
    }


def _revocations(tenant: Tenant, lines: Iterable[Line]) -> list[dict[str, Any]]:
    """What is open stands first, then the newest."""
    found: list[Revocation] = [one for line in lines for one in line.figure.revocations]
    shown = sorted(found, key=lambda one: one.proven)[:REVOCATIONS_SHOWN]
    people = Identity.objects.filter(tenant=tenant).in_bulk([one.identity_id for one in shown])
    return [
        {
            "who": people.get(one.identity_id),
            "at": one.at,
            "checks": [_of_check(check) for check in one.checks],
            "proven": one.proven,
            "seconds": duration(one.seconds) if one.seconds is not None else "",
        }
        for one in shown
    ]


def _of_check(check: Check) -> tuple[str, str]:
    """(badge, words)"""
    if not check.proven:
        return "hub-danger", "still there"
    if check.seconds is None:
        return "hub-success", "gone"
    return "hub-success", "at once" if not check.seconds else f"gone after {duration(check.seconds)}"


def _ages(lines: Iterable[Line]) -> charts.Bars:
    ages = next(line.figure.parts for line in lines if line.measure.name == "review")
    findings = reverse("admin:provisioning_finding_changelist")
    return charts.bars(
        [age.capitalize() for age in ages],
        [Series(name="open", tone="warn", values=list(ages.values()))],
        links=[f"{findings}?age={age.replace(' ', '+')}" for age in ages],
    )


_COLUMNS = ("measure", "question", "verdict", "shown", "number", "of", "sentence", "remedy")


def _table(lines: Iterable[Line]) -> Iterator[str]:
    return export.lines(
        _COLUMNS,
        (
            (
                line.measure.name,
                line.measure.question,
                line.judged.cover.value,
                line.judged.shown,
                line.figure.number,
                line.figure.of,
                line.judged.sentence,
                line.measure.remedy,
            )
            for line in lines
        ),
    )


def _taken_along(response: HttpResponseBase, tenant: Tenant, ending: str) -> HttpResponseBase:
    response["Content-Disposition"] = f'attachment; filename="posture-{tenant.slug}.{ending}"'
    response["Cache-Control"] = "no-store"
    return response
