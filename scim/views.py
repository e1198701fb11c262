"""From HTTP to a call and back, for every SCIM address; discovery, and the addresses of no resource type."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import wraps
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.views.decorators.csrf import csrf_exempt
from django_scim.views import SCIMView
from scim2_models.exceptions import (
    ForbiddenException,
    NotFoundException,
    SCIMException,
    UnauthorizedException,
)

from provisioning.selectors import accounts
from provisioning.sessions import FACTS
from scim import bulk, catalogue, discovery, log, responses, search
from scim.actions import UNKNOWN
from scim.calls import Answer, Call
from scim.errors import FailedException
from scim.kinds import Kinds, kinds_of_tenant
from scim.mapping import user_resource
from scim.projection import projection
from scim.requests import MAX_BODY, call_of, parameters_of, versions_of
from scim.resources import Resources, answered_by
from scim.schemas import JSON


class Endpoint(SCIMView):
    """A view of django-scim2, with the token deciding who asks and this face's own error bodies.

    Its `dispatch` is replaced: it would ask for a signed-in user, and answer with an integer for a status and
    an empty 405.
    """

    endpoint = ""
    max_body = MAX_BODY

    @classmethod
    def as_view(cls, **given: Any) -> Any:
        # Here and not at `dispatch`, which some views have of their own.
        return csrf_exempt(_without_content_for_head(super().as_view(**given)))

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        try:
            return self.answered(call_of(request, self.endpoint, kwargs.get("uuid") or "", self.max_body))
        except SCIMException as refused:
            return responses.error(refused)

    def answered(self, call: Call) -> HttpResponse:
        """The answer as HTTP, with its line in the provisioning log."""
        started = time.perf_counter()
        ended: Answer | SCIMException
        try:
            ended = self.answer(call)
            response = responses.of(ended)
        except SCIMException as refused:
            ended, response = refused, responses.error(refused)
        except Exception:
            # Passed on as it is: here only the provisioning log is told, whose readers would miss the request.
            log.note(call, FailedException(), (time.perf_counter() - started) * 1000)
            raise
        log.note(call, ended, (time.perf_counter() - started) * 1000)
        return response

    @abstractmethod
    def answer(self, call: Call) -> Answer:
        """What is said to a call; a SCIMException refuses it."""


def _without_content_for_head(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """RFC 9110 9.3.2: the answer to HEAD is that to GET, its Content-Length too, without the content."""

    @wraps(view)
    def headed(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        response = view(request, *args, **kwargs)
        if request.method == "HEAD" and response.content:
            response["Content-Length"] = str(len(response.content))
            response.content = b""
        return response

    return headed


class ResourceEndpoint(Endpoint):
    """All resources of a type, or one of them: whichever address was asked."""

    # Given to `as_view`, which takes only what the class has.
    resources: Resources[Any] = None  # type: ignore[assignment]

    def answer(self, call: Call) -> Answer:
        _demand_served(self.resources)
        call.endpoint = self.resources.endpoint
        return self.resources.answer(call)


def _demand_served(resources: Resources[Any]) -> None:
    if resources not in catalogue.every():
        raise _nothing_here()


class SearchView(Endpoint):
    """`/.search` behind a type's address, and at the root."""

    endpoint = ".search"
    resources: Resources[Any] | None = None

    def answer(self, call: Call) -> Answer:
        if self.resources is not None:
            _demand_served(self.resources)
            call.endpoint = f"{self.resources.endpoint}/.search"
        return answered_by(self, {"POST": "found"}, call)

    def found(self, call: Call) -> Answer:
        return search.of_types(call) if self.resources is None else search.of_type(self.resources, call)


class RootView(Endpoint):
    """RFC 7644 3.4.2.1: a query "MAY be performed against" the server's root."""

    # Who may ask is the same as for a search there.
    endpoint = ".search"

    def answer(self, call: Call) -> Answer:
        return answered_by(search, {"GET": "of_all", "HEAD": "of_all"}, call)


class BulkView(Endpoint):
    endpoint = "Bulk"
    max_body = bulk.MAX_PAYLOAD

    def answer(self, call: Call) -> Answer:
        return answered_by(bulk, {"POST": "perform"}, call)


class NotFoundView(Endpoint):
    endpoint = UNKNOWN

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if "Authorization" in request.headers:
            # A valid token's connection has it in its log; who may ask learns nothing more.
            with suppress(SCIMException):
                return self.answered(call_of(request, self.endpoint, "", self.max_body))
        return responses.error(_nothing_here())

    def answer(self, call: Call) -> Answer:
        raise _nothing_here()


def _nothing_here() -> NotFoundException:
    return NotFoundException(detail="There is nothing at this address.")


class ServiceProviderConfigView(Endpoint):
    endpoint = "ServiceProviderConfig"

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        # RFC 7643 5: a client may read which schemes there are before it has a token. One that sends a token
        # wants to know whether it works.
        if "Authorization" in request.headers:
            return super().dispatch(request, *args, **kwargs)
        if request.method not in ("GET", "HEAD"):
            return responses.error(UnauthorizedException(detail="Send the bearer token of a connection."))
        try:
            _demand_unfiltered(parameters_of(request))
        except SCIMException as refused:
            return responses.error(refused)
        return responses.answer(discovery.service_provider_config())

    def answer(self, call: Call) -> Answer:
        return answered_by(self, {"GET": "shown", "HEAD": "shown"}, call)

    def shown(self, call: Call) -> Answer:
        call.credential.identified(call.at)
        _demand_unfiltered(call.parameters)
        return Answer(status=200, body=discovery.service_provider_config())


def _demand_unfiltered(parameters: Mapping[str, str]) -> None:
    """RFC 7644 4: "If a "filter" is provided, the service provider SHOULD respond with HTTP status code 403"."""
    if "filter" in parameters:
        raise ForbiddenException(detail="Discovery is not filtered.")


class _CatalogueView(Endpoint, ABC):
    """A discovery list and its entries, as the caller's tenant has them."""

    @abstractmethod
    def entries(self, kinds: Kinds) -> list[JSON]:
        """Every entry, each with its `id`."""

    def answer(self, call: Call) -> Answer:
        return answered_by(self, {"GET": "shown", "HEAD": "shown"}, call)

    def shown(self, call: Call) -> Answer:
        entries = self.entries(catalogue.shown_to(call.credential.identified(call.at)))
        if not call.resource_id:
            _demand_unfiltered(call.parameters)
            return Answer(status=200, body=responses.whole_list(entries), results=len(entries))
        for entry in entries:
            if entry["id"].lower() == call.resource_id.lower():
                return Answer(status=200, body=entry)
        raise NotFoundException(detail="There is no such entry.")


class ResourceTypesView(_CatalogueView):
    endpoint = "ResourceTypes"

    def entries(self, kinds: Kinds) -> list[JSON]:
        return discovery.resource_types(kinds)


class SchemasView(_CatalogueView):
    endpoint = "Schemas"

    def entries(self, kinds: Kinds) -> list[JSON]:
        return discovery.schemas(kinds)


class MeView(Endpoint):
    """RFC 7644 3.11: the resource of the person who is signed in, by the cookie of the people's pages."""

    endpoint = "Me"

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not request.user.is_authenticated:
            return super().dispatch(request, *args, **kwargs)
        try:
            return responses.of(self.own(request))
        except SCIMException as refused:
            return responses.error(refused)

    def answer(self, call: Call) -> Answer:
        call.credential.identified(call.at)
        raise NotFoundException(detail="A token stands for a connection, which is nobody's own resource.")

    def own(self, request: HttpRequest) -> Answer:
        if request.method not in ("GET", "HEAD"):
            # A cookie is sent by the browser on anybody's behalf: another site's form could change the person.
            raise ForbiddenException(
                detail="A session may only read; changes come from the identity provider."
            )
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
        held = versions_of(request.META.get("HTTP_IF_NONE_MATCH")) or frozenset()
        if not held.isdisjoint({"*", str(account.version)}):
            return Answer(status=304, version=account.version)
        kind = kinds_of_tenant(facts["tenant_id"])["User"]
        document = user_resource(account, kind, responses.base())
        asked = parameters_of(request)
        wanted = projection(kind, asked.get("attributes"), asked.get("excludedattributes"))
        return Answer(
            status=200,
            body=wanted.of(document),
            version=account.version,
            location=document["meta"]["location"],
        )
