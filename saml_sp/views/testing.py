"""The pages that begin a test login and end one that an operator began. Knows no check; who began it has the report."""

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from provisioning.models import Connection
from provisioning.selectors import connections
from saml_sp import trial
from saml_sp.client import NotConfigured

from .pages import carried, refused


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def begin(request: HttpRequest, connection_id: UUID, token: str) -> HttpResponse:
    """Works for a draft; the address is good until the test is answered, for an hour.

    A GET only asks: a program that looks at a link in a mail or a chat must not take the test from the person.
    """
    connection = connections.by_address(connection_id)
    if connection is None:
        return refused(request, None, "connection:unknown")
    try:
        if request.method == "POST":
            return start(request, connection, token)
        trial.waits(connection, token)
    except NotConfigured as error:
        return refused(request, connection, "connection:not-configured", **error.detail)
    except trial.Over:
        return refused(request, connection, "saml:test-over")
    return render(request, "saml_sp/test.html", {"connection": connection})


def start(request: HttpRequest, connection: Connection, token: str) -> HttpResponse:
    """The browser's way to the IdP, with what it needs to bring the answer back. Raises trial.Over, NotConfigured."""
    response = carried(request, connection, trial.begin(connection, token))
    trial.remember(response, token)
    return response


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def ended(request: HttpRequest, connection_id: UUID) -> HttpResponse:
    """For the browser of whoever tried a login that an operator began by command. A POST tries the sign-out, too."""
    test = trial.of_browser(request, connection_id)
    if test is None or test.finished_at is None:
        return render(request, "saml_sp/tested.html")
    if request.method == "POST":
        try:
            asked = trial.begin_sign_out(test)
        except NotConfigured as error:
            return refused(request, test.connection, "connection:not-configured", **error.detail)
        if asked is not None:
            return carried(request, test.connection, asked, signing_out=True)
    page = {"test": test, "can_sign_out": trial.can_sign_out(test)}
    return render(request, "saml_sp/tested.html", page)
