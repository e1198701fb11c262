"""The start page: the numbers of the user's tenant, or of the installation for its superuser."""

from typing import Any

from django.contrib.admin import site
from django.http import HttpRequest

from identity_hub.core.clock import now
from provisioning.selectors.overview import overview
from provisioning.selectors.timeline import meaning

from .base import tenant_of


def numbers(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    at = now()
    shown = overview(tenant_id=tenant_of(request), at=at)
    return {
        **context,
        "title": "Start",
        "shown": shown,
        "at": at,
        "holds": [
            (kind, number) for kind, number in sorted(shown.people.holds.items(), key=lambda pair: -pair[1])
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
        "ages": list(shown.findings.by_age.items()),
    }
