"""One log line per request: what was asked and answered, in what time. Knows no body and no query string."""

import re
import time
from collections.abc import Callable
from uuid import UUID

import structlog
from django.http import HttpRequest, HttpResponse

_log = structlog.get_logger("identity_hub.request")


_ADDRESS = re.compile(r"[^/]*@[^/]*")
# Of RFC 9110 9.1 and RFC 5789; any other word is the caller's own.
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "CONNECT", "OPTIONS", "TRACE"})
# With the misspellings that one looks for when a client finds nothing.
_WORDS = frozenset(
    {"", "scim", "v1", "v2", "oauth", "token", "search", ".search", "bulk", "me", "serviceproviderconfig"}
    | {"user", "users", "group", "groups", "role", "roles", "entitlement", "entitlements"}
    | {"schema", "schemas", "resourcetype", "resourcetypes", "serviceproviderconfigs"}
)


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
    return _ADDRESS.sub("…", _without_names(request, path))


def _without_names(request: HttpRequest, path: str) -> str:
    """Clients misspell SCIM's addresses, and leave parts of them out: of one that is none, only its own words and ids
    are told."""
    match = request.resolver_match
    if not path.startswith("/scim/") or (match is not None and match.url_name):
        return path
    return "/".join(part if part.lower() in _WORDS or _is_id(part) else "…" for part in path.split("/"))


class AccessLogMiddleware:
    """The query string stays out: SCIM filters and sign-in hints carry people's names and addresses."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        started = time.perf_counter()
        response = self.get_response(request)
        _log.info(
            "request:answered",
            method=request.method if request.method in _METHODS else "…",
            path=told(request),
            status=response.status_code,
            milliseconds=round((time.perf_counter() - started) * 1000, 1),
        )
        return response
