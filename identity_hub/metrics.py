"""Who may scrape the numbers. Knows no tenant, and only asks for the numbers that nothing counts as it happens."""

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import constant_time_compare
from django.views.decorators.http import require_safe
from django_prometheus.exports import ExportToDjangoView

from saml_sp import own_keys


@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Prometheus text for the holder of METRICS_TOKEN (`Authorization: Bearer ...`), else 401."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer" and constant_time_compare(token.strip(), settings.METRICS_TOKEN):
        own_keys.measure()
        return ExportToDjangoView(request)
    response = HttpResponse("A bearer token is needed.\n", status=401, content_type="text/plain")
    response["WWW-Authenticate"] = 'Bearer realm="metrics"'
    return response
