"""Who may scrape the numbers. Knows no tenant, and only asks for the numbers that nothing counts as it happens."""

from contextlib import suppress

from django.conf import settings
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import constant_time_compare
from django.views.decorators.http import require_safe
from django_prometheus.exports import ExportToDjangoView
from prometheus_client import Gauge

from identity_hub.core.clock import now
from provisioning.selectors import findings
from provisioning.services import laws
from provisioning.services.overdue import without_runs
from saml_sp import own_keys

_open = Gauge(
    "hub_findings_open",
    "Findings that wait for a person.",
    ["kind", "severity"],
    multiprocess_mode="mostrecent",
)
_overdue = Gauge(
    "hub_findings_overdue",
    "Those of them whose day is over.",
    ["kind", "severity"],
    multiprocess_mode="mostrecent",
)
_without_runs = Gauge(
    "hub_connections_without_runs",
    "Active connections of which no reconciliation run has finished for two periods.",
    multiprocess_mode="mostrecent",
)
_told: set[tuple[str, str]] = set()


@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Prometheus text for the holder of METRICS_TOKEN (`Authorization: Bearer ...`), else 401."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer" and constant_time_compare(token.strip(), settings.METRICS_TOKEN):
        own_keys.measure()
        _measure_findings()
        _measure_runs()
        laws.measure()
        return ExportToDjangoView(request)
    response = HttpResponse("A bearer token is needed.\n", status=401, content_type="text/plain")
    response["WWW-Authenticate"] = 'Bearer realm="metrics"'
    return response


def _measure_findings() -> None:
    try:
        waiting = {(one.kind, one.severity): one for one in findings.waiting(now())}
    except DatabaseError:
        return  # the other numbers still tell how the hub is without it
    # What was told once and waits no more is told as none: a gauge that falls silent keeps its alarm.
    _told.update(waiting)
    for labels in _told:
        one = waiting.get(labels)
        _open.labels(*labels).set(one.open if one else 0)
        _overdue.labels(*labels).set(one.overdue if one else 0)


def _measure_runs() -> None:
    with suppress(DatabaseError):
        _without_runs.set(without_runs(now()))
