"""A run's plan as a page: filtered, the most privileged first, before and after side by side, page by page, as CSV."""

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode

from django.core.exceptions import SuspiciousOperation
from django.http import HttpRequest, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse

from provisioning.models import Identity, ReconciliationItem, ReconciliationRun
from provisioning.reconciliation.checks import CHECKS
from provisioning.selectors import plans
from provisioning.selectors.timeline import meaning

from . import export
from .base import TenantAdmin

_Status = ReconciliationItem.Status
_BADGES = {
    _Status.PLANNED: "hub-warning",
    _Status.APPLIED: "hub-success",
    _Status.REFUSED: "hub-danger",
    _Status.REPORTED: "hub-info",
}
_TITLES = {
    "check_name": "Check",
    "situation": "Situation",
    "reason": "Reaction",
    "status": "Status",
    "destructive": "Takes access away",
}
_COLUMNS: Mapping[str, Callable[[dict[str, Any]], Any]] = {
    "item": lambda item: item["id"],
    "check": lambda item: item["check_name"],
    "situation": lambda item: item["situation"],
    "reason": lambda item: item["reason"],
    "meaning": lambda item: meaning(item["reason"]),
    "status": lambda item: item["status"],
    "destructive": lambda item: item["destructive"],
    "account": lambda item: item["account_id"],
    "user_name": lambda item: item["account__user_name"],
    "identity": lambda item: item["identity_id"],
    "changes": lambda item: plans.named_changes(item["plan"]),
    "decided_at": lambda item: item["decided_at"],
}


def question_of(check_name: str) -> str:
    check = CHECKS.get(check_name)
    return check.question if check else check_name


def show(page: TenantAdmin, request: HttpRequest, run: ReconciliationRun) -> HttpResponseBase:
    wanted = {name: request.GET.get(name, "") for name in plans.FILTERS}
    if any("\x00" in value for value in wanted.values()):
        raise SuspiciousOperation  # PostgreSQL knows no NUL: a 400, not a 500
    rows = plans.items(run, wanted)
    if request.GET.get("as") == "csv":
        body = export.lines(
            _COLUMNS, ([read(item) for read in _COLUMNS.values()] for item in plans.exported(rows))
        )
        response = StreamingHttpResponse(body, content_type="text/csv; charset=utf-8")
        response["Content-Disposition"] = f'attachment; filename="plan-{run.started_at:%Y-%m-%d}.csv"'
        response["Cache-Control"] = "no-store"
        return response
    after, before = _key(request, "after"), _key(request, "before")
    listed = plans.page(rows, after=after, before=before)
    facets = plans.facets(run, wanted)
    asked = urlencode({name: value for name, value in wanted.items() if value})
    is_first = after is None and listed.before is None
    return TemplateResponse(
        request,
        "provisioning/admin/plan.html",
        {
            **page.admin_site.each_context(request),
            "opts": page.opts,
            "original": run,
            "title": f"Plan of {run}",
            "run": run,
            "progress": progress_of(run),
            "filters": [_filter(name, facets.numbers[name], wanted[name]) for name in plans.FILTERS],
            "is_filtered": bool(asked),
            "asked": f"{asked}&" if asked else "",
            "facets": facets,
            "lines": _lines(run, listed.items),
            "privileged": _privileged(run) if is_first and not asked else [],
            "before": listed.before,
            "after": listed.after,
        },
    )


def progress_of(run: ReconciliationRun) -> dict[str, Any] | None:
    """How far an execution is, in percent of what is to be decided; None where none has begun."""
    if run.status not in ("executing", "done", "cancelled") or not run.items_total:
        return None
    return {
        "done": run.items_done,
        "total": run.items_total,
        "percent": min(100 * run.items_done // run.items_total, 100),
    }


def _key(request: HttpRequest, name: str) -> int | None:
    text = request.GET.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else None


def _filter(name: str, numbers: Mapping[str, int], wanted: str) -> dict[str, Any]:
    choices = [
        (value, _worded(name, value), number)
        for value, number in sorted(numbers.items(), key=lambda pair: (-pair[1], pair[0]))
        if value
    ]
    if wanted and wanted not in numbers:
        choices.append((wanted, wanted, 0))
    return {"name": name, "title": _TITLES[name], "choices": choices, "wanted": wanted}


def _worded(name: str, value: str) -> str:
    match name:
        case "reason":
            return meaning(value)
        case "check_name":
            return question_of(value)
        case "status":
            return dict(_Status.choices).get(value, value)
        case _:
            return value.capitalize()


def _lines(run: ReconciliationRun, items: Any) -> list[dict[str, Any]]:
    sides, findings = plans.sides(run, items), plans.findings_of(run, items)
    called = plans.newcomers(run, items)
    return [
        {
            "item": item,
            "new": called.get(item.pk, ""),
            "sentence": meaning(item.reason),
            "question": question_of(item.check_name),
            "badge": _BADGES.get(item.status, ""),
            "sides": sides[item.pk],
            "finding": findings.get(item.pk),
        }
        for item in items
    ]


def _privileged(run: ReconciliationRun) -> list[dict[str, Any]]:
    found = plans.most_privileged(run)
    people = Identity.objects.filter(tenant_id=run.tenant_id).in_bulk([one.identity_id for one in found])
    items = ReconciliationItem.objects.filter(tenant_id=run.tenant_id, run=run).in_bulk(
        [one.item_id for one in found]
    )
    return [
        {
            "one": one,
            "who": people[one.identity_id],
            "item": items[one.item_id],
            "sentence": meaning(items[one.item_id].reason),
        }
        for one in found
        if one.identity_id in people and one.item_id in items
    ]
