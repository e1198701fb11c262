"""What a caller hears when no view could answer, in the form of its face. Knows no rule and no SQL."""

import codecs
import sys
from collections.abc import Callable
from html import escape

import orjson
import structlog
from django.core.exceptions import BadRequest, SuspiciousOperation
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, UnreadablePostError
from django.http.multipartparser import MultiPartParserError
from django.utils.http import url_has_allowed_host_and_scheme

from identity_hub.core.request_id import current_request_id
from identity_hub.core.text import keepable
from scim.errors import body_of

_log = structlog.get_logger("identity_hub.errors")

RETRY_AFTER_SECONDS = 5

_SENTENCES = {
    400: "The request could not be understood.",
    403: "You are not allowed to see this.",
    404: "There is nothing at this address.",
    500: "Something went wrong on our side. Nothing was changed.",
    503: "The service cannot reach its database. Nothing was changed; please try again shortly.",
}

# SQLSTATEs that mean "not now" rather than "not this statement": connection failure (08), insufficient
# resources (53), shutdown by the operator (57P). psycopg knows none when no server answered.
_AWAY = ("08", "53", "57P")


def database_is_away(error: BaseException | None) -> bool:
    """Whether the database itself is out of reach; a failed statement (deadlock, timeout) is not that."""
    if isinstance(error, InterfaceError):
        return True
    if not isinstance(error, OperationalError):
        return False
    state = getattr(error.__cause__, "sqlstate", None)
    return state is None or state.startswith(_AWAY)


# The look of the people's pages (saml_sp/static/saml_sp/hub.css), in the page itself: it asks for nothing else.
_STYLE = (
    ":root{color-scheme:light dark;--ground:#f5f6fa;--card:#fff;--ink:#171a2b;--soft:#565b73;--line:#dfe2ec;"
    "--accent:#4338ca}"
    "@media(prefers-color-scheme:dark){:root{--ground:#0f111a;--card:#191c29;--ink:#eef0f8;--soft:#a7adc4;"
    "--line:#2c3042;--accent:#9a9bfa}}"
    "*{box-sizing:border-box}"
    "body{margin:0;min-height:100vh;display:flex;align-items:center;justify-content:center;padding:1.25rem;"
    "background:var(--ground);color:var(--ink);font:1rem/1.55 system-ui,sans-serif}"
    "main{width:100%;max-width:28rem;margin-bottom:12vh;padding:2rem;background:var(--card);"
    "border:1px solid var(--line);border-radius:1rem}"
    "h1{margin:0 0 .5rem;font-size:1.6rem;line-height:1.2}p{margin:0 0 1rem}p:last-child{margin:0}"
    ".soft{color:var(--soft);font-size:.9rem}code{overflow-wrap:anywhere}a{color:var(--accent)}"
)


def answer(request: HttpRequest, status: int, page: str = "") -> HttpResponse:
    """A SCIM Error (RFC 7644 3.12) under /scim/, a JSON object for programs, one calm page for people.

    `page` is what people see, where there is more to say than the sentence of the status.
    """
    sentence, reference = _SENTENCES[status], current_request_id()
    if request.path.startswith("/scim/"):
        response = HttpResponse(
            orjson.dumps(body_of(status, sentence)), status=status, content_type="application/scim+json"
        )
    elif request.path.startswith("/api/") or "application/json" in request.headers.get("Accept", ""):
        problem = {"detail": sentence, "reference": reference}
        response = HttpResponse(orjson.dumps(problem), status=status, content_type="application/json")
    else:
        response = HttpResponse(page or _page(sentence), status=status)
    response["Cache-Control"] = "no-store"
    if status == 503:
        response["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return response


def _page(sentence: str, *, title: str = "This did not work", way: str = "/", on: str = "Start page") -> str:
    # No template and no context processor: either could ask the database that is away.
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><title>Identity Hub</title>'
        f"<style>{_STYLE}</style></head><body><main><h1>{escape(title)}</h1><p>{escape(sentence)}</p>"
        f'<p class="soft">Reference <code>{escape(current_request_id())}</code></p>'
        f'<p><a href="{escape(way)}">{escape(on)}</a></p></main></body></html>'
    )


class DatabaseAwayMiddleware:
    """A view that loses its database answers 503; what loses it outside of a view ends in `server_error`."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        if not database_is_away(exception):
            return None
        _log.error("database:away", path=request.path, error=type(exception).__name__)
        return answer(request, 503)


class ReadableFormsMiddleware:
    """Answers 400 to a form of people's pages that no view could read, before anything tries to.

    A view without Django's check of forms (`csrf_exempt`) reads its own body, and says in its own words what is wrong
    with it. Every other one's is read by that check, outside of any view's reach.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: Callable[..., HttpResponse], arguments: object, names: object
    ) -> HttpResponse | None:
        # The charset counts for the query too, also where no body is.
        exempt = getattr(view, "csrf_exempt", False)
        return None if exempt or (_in_utf8(request) and _form_is_read(request)) else answer(request, 400)


def _in_utf8(request: HttpRequest) -> bool:
    """Attack: a charset that is none of text (hex), or that makes text of bytes which no table keeps."""
    return request.encoding is None or codecs.lookup(request.encoding).name == "utf-8"


def _form_is_read(request: HttpRequest) -> bool:
    """Whether there is none, or one whose fields are text that can be kept."""
    try:
        fields = request.POST.lists()
    # A broken multipart; too large, or too many fields; a body that ends too early; what is no UTF-8.
    except (BadRequest, MultiPartParserError, SuspiciousOperation, UnreadablePostError, ValueError):
        return False
    return all(keepable(name) and all(map(keepable, said)) for name, said in fields)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    return answer(request, 400)


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    return answer(request, 403)


def stale_form(request: HttpRequest, reason: str = "") -> HttpResponse:
    """A form without its token, or with that of an earlier sign-in: another tab, or a browser that keeps no cookies."""
    title = "You were not signed out" if request.path.startswith("/logout") else "This page was out of date"
    sentence = "Nothing was changed: you have signed in again since, or your browser keeps no cookies."
    return answer(request, 403, _page(sentence, title=title, way=_page_before(request), on="Open it again"))


def _page_before(request: HttpRequest) -> str:
    """Where the form stood, as the browser says, if that is one of ours; else the start page."""
    address = request.headers.get("Referer", "")
    # Attack: another site's page that posts here, and is led back to itself.
    ours = url_has_allowed_host_and_scheme(address, {request.get_host()}, require_https=request.is_secure())
    return address if ours else "/"


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return answer(request, 404)


def server_error(request: HttpRequest) -> HttpResponse:
    """Called inside Django's `except`: a middleware that lost the database (session, login) comes here."""
    return answer(request, 503 if database_is_away(sys.exc_info()[1]) else 500)
