"""What every SCIM address has in common, discovery, and the addresses that answer for no resource type."""

from abc import ABC, abstractmethod
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.decorators import method_decorator
from django.views.decorators.csrf import csrf_exempt
from django.views.generic import View
from django_scim.views import SCIMView
from scim2_models.exceptions import (
    ForbiddenException,
    NotFoundException,
    NotImplementedException,
    SCIMException,
    UnauthorizedException,
)

from provisioning.selectors import accounts
from provisioning.selectors.tokens import Caller
from provisioning.sessions import FACTS
from scim import discovery, responses
from scim.authentication import caller_of
from scim.errors import MethodNotAllowedException, refusal
from scim.identifiers import identifier
from scim.mapping import user_resource
from scim.projection import Projection, projection
from scim.requests import parameter, versions
from scim.schemas import JSON, USER, ResourceKind


class Endpoint(SCIMView):
    """A view of django-scim2, with the token deciding who asks and this face's own error bodies.

    Its `dispatch` is replaced: it would ask for a signed-in user, and answer with an integer for a status and
    an empty 405.
    """

    http_method_names = ["get", "head", "post", "put", "patch", "delete"]
    caller: Caller

    @method_decorator(csrf_exempt)
    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        try:
            self.authenticate(request)
            return View.dispatch(self, request, *args, **kwargs)
        except SCIMException as refused:
            return responses.error(refused)

    def authenticate(self, request: HttpRequest) -> None:
        self.caller = caller_of(request)

    def http_method_not_allowed(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        # RFC 9110 15.5.6: "The origin server MUST generate an Allow header field in a 405 response".
        return responses.error(MethodNotAllowedException(), {"Allow": ", ".join(self._allowed_methods())})


class ResourceEndpoint(Endpoint):
    """What the addresses of one resource type share; `subject` is the first word of its reason codes."""

    kind: ResourceKind
    subject: str

    def _known(self, uuid: str) -> UUID:
        found = identifier(uuid)
        if found is None:
            raise refusal(f"{self.subject}:unknown")
        return found

    def _projection(self) -> Projection:
        return projection_of(self.request, self.kind)

    def _agreed(self, wanted: frozenset[str], version: int) -> int:
        """The version, where If-Match asks for this one; else 412."""
        if "*" not in wanted and str(version) not in wanted:
            raise refusal(f"{self.subject}:stale")
        return version

    def _is_held(self, version: int) -> bool:
        """Whether a reader has this version already (If-None-Match)."""
        held = versions(self.request, "If-None-Match") or frozenset()
        return self.request.method in ("GET", "HEAD") and not held.isdisjoint({"*", str(version)})


def projection_of(request: HttpRequest, kind: ResourceKind) -> Projection:
    return projection(kind, parameter(request, "attributes"), parameter(request, "excludedAttributes"))


class NotFoundView(Endpoint):
    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        return responses.error(NotFoundException(detail="There is nothing at this address."))


class NotImplementedView(Endpoint):
    """RFC 7644 3.12, 501: "Service provider does not support the request operation"; said to those who may ask."""

    def _refuse(self, request: HttpRequest) -> HttpResponse:
        raise NotImplementedException(detail="This server does not offer that; see /ServiceProviderConfig.")

    get = post = put = patch = delete = _refuse


class ServiceProviderConfigView(Endpoint):
    http_method_names = ["get", "head"]

    def authenticate(self, request: HttpRequest) -> None:
        # RFC 7643 5: a client may read which schemes there are before it has a token. One that sends a token
        # wants to know whether it works.
        if "Authorization" in request.headers:
            super().authenticate(request)

    def get(self, request: HttpRequest) -> HttpResponse:
        return responses.answer(discovery.service_provider_config())


class _CatalogueView(Endpoint, ABC):
    """A discovery list and its entries.

    RFC 7644 4: "If a "filter" is provided, the service provider SHOULD respond with HTTP status code 403".
    """

    http_method_names = ["get", "head"]

    @abstractmethod
    def entries(self) -> list[JSON]:
        """Every entry, each with its `id`."""

    def get(self, request: HttpRequest, uuid: str | None = None) -> HttpResponse:
        if uuid is None:
            if parameter(request, "filter") is not None:
                raise ForbiddenException(detail="Discovery is not filtered.")
            found = self.entries()
            return responses.listed(found, len(found))
        for entry in self.entries():
            if entry["id"].lower() == uuid.lower():
                return responses.answer(entry)
        raise NotFoundException(detail="There is no such entry.")


class ResourceTypesView(_CatalogueView):
    def entries(self) -> list[JSON]:
        return discovery.resource_types()


class SchemasView(_CatalogueView):
    def entries(self) -> list[JSON]:
        return discovery.schemas()


class MeView(Endpoint):
    """RFC 7644 3.11: the resource of the person who is signed in, by the cookie of the people's pages."""

    def authenticate(self, request: HttpRequest) -> None:
        if request.user.is_authenticated:
            return
        if "Authorization" in request.headers:
            super().authenticate(request)
            raise NotFoundException(detail="A token stands for a connection, which is nobody's own resource.")
        raise UnauthorizedException(detail="Sign in first.")

    def get(self, request: HttpRequest) -> HttpResponse:
        facts = request.session.get(FACTS, {})
        account = None
        if facts.get("connection_id") and facts.get("tenant_id"):
            account = accounts.of_identity(
                tenant_id=facts["tenant_id"],
                identity_id=request.user.pk,
                connection_id=facts["connection_id"],
            )
        if account is None:
            raise NotFoundException(
                detail="Nobody's directory has sent you, so there is no resource to show."
            )
        document = user_resource(account, responses.base())
        return responses.resource(document, projection_of(request, USER).of(document))

    def _refuse(self, request: HttpRequest) -> HttpResponse:
        # A cookie is sent by the browser on anybody's behalf: a form of another site could change the person.
        raise ForbiddenException(detail="A session may only read; changes come from the identity provider.")

    post = put = patch = delete = _refuse
