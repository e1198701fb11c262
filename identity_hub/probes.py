"""What a load balancer and a scraper ask; answered before anything wants a host name, a session or TLS."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from identity_hub import health, metrics

_PROBES: dict[str, Callable[[HttpRequest], HttpResponse]] = {
    "/healthz": health.healthz,
    "/readyz": health.readyz,
    "/metrics": metrics.metrics,
}


class ProbesMiddleware:
    """Probes come by address, not by name: ALLOWED_HOSTS and the redirect to https would refuse them."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return _PROBES.get(request.path, self.get_response)(request)
