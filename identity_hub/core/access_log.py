"""One log line per request: what was asked and answered, in what time. Knows no body and no query string."""

import re
import time
from collections.abc import Callable
from uuid import UUID

import structlog
from django.http import HttpRequest, HttpResponse

_log = structlog.get_logger("identity_hub.request")


_ADDRESS = re.compile(r"[^/]*@[^/]*")


def _is_id(text: str) -> bool:
    try:
        return text.isdigit() or bool(UUID(text))
    except ValueError:
        return False


def told(request: HttpRequest) -> str:
    """The path without what stands where an id belongs and is none: clients put a userName or an e-mail there."""
    path = request.path
    for value in request.resolver_match.kwargs.values() if request.resolver_match else ():
        if isinstance(value, str) and not _is_id(value):
            path = path.replace(f"/{value}", "/…")
    return _ADDRESS.sub("…", _behind_unknown(request, path))


def _behind_unknown(request: HttpRequest, path: str) -> str:
    """Clients misspell SCIM's addresses: of one that is none, no more than its first unknown part and ids are told."""
    match = request.resolver_match
    if not path.startswith("/scim/") or (match is not None and match.url_name):
        return path
    parts = path.split("/")
    kept = 4 if parts[2] == "v2" else 3
    return "/".join(parts[:kept] + [part if not part or _is_id(part) else "…" for part in parts[kept:]])


class AccessLogMiddleware:
    """The query string stays out: SCIM filters and sign-in hints carry people's names and addresses."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        started = time.perf_counter()
        response = self.get_response(request)
        _log.info(
            "request:answered",
            method=request.method,
            path=told(request),
            status=response.status_code,
            milliseconds=round((time.perf_counter() - started) * 1000, 1),
        )
        return response
