"""The short way for programs: a SCIM request needs no session, no form and no frame. Knows no view."""

from django.http import HttpRequest, HttpResponse
from django.urls import resolve

from identity_hub.errors import DatabaseAwayMiddleware

_PREFIX = "/scim/"
_OF_PEOPLE = "/me"
"""RFC 7644 3.11: the one SCIM address that asks for the cookie of a signed-in person."""


class ProgramsMiddleware(DatabaseAwayMiddleware):
    """Calls the view at once, where nothing that stands between here and it has a say in the answer.

    Provisioning clients ask a hundred times a second: what is left out was a fifth of such a request.
    """

    def __call__(self, request: HttpRequest) -> HttpResponse:
        path = request.path_info
        if not path.startswith(_PREFIX) or path.rstrip("/").lower().endswith(_OF_PEOPLE):
            return self.get_response(request)
        # Attack: a forged Host; CommonMiddleware would look at it.
        request.get_host()
        match = resolve(path)
        request.resolver_match = match
        try:
            answered: HttpResponse = match.func(request, *match.args, **match.kwargs)
        except Exception as error:
            # What the database's absence does not explain goes on to Django's own handling.
            away = self.process_exception(request, error)
            if away is None:
                raise
            return away
        return answered
