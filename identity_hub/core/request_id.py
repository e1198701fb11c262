"""One name for one request, from the load balancer to the log line. Knows nothing of who asks or for what."""

import re
from collections.abc import Callable
from contextvars import ContextVar

import structlog
from django.http import HttpRequest, HttpResponse

from identity_hub.core import ids

HEADER = "X-Request-ID"

# A caller's own id is kept only in this shape: it is written to logs, where a line break would forge a line.
_ACCEPTABLE = re.compile(r"[A-Za-z0-9-]{8,64}")
_current: ContextVar[str] = ContextVar("request_id", default="")


def current_request_id() -> str:
    """The id of the request in progress; "" outside of one."""
    return _current.get()


class RequestIdMiddleware:
    """Takes or makes the id, binds it to every log line of the request, and sends it back."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        offered = request.headers.get(HEADER, "")
        request_id = offered if _ACCEPTABLE.fullmatch(offered) else ids.new_id().hex
        token = _current.set(request_id)
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        try:
            response = self.get_response(request)
        finally:
            structlog.contextvars.clear_contextvars()
            _current.reset(token)
        response[HEADER] = request_id
        return response
