"""The token endpoint: an OAuth client's name and secret against a token of an hour (RFC 6749 4.4).

Authlib reads the request, authenticates the client and words the answers; what a client and a token are is ours.
Knows no resource.
"""

from collections import defaultdict
from hmac import compare_digest
from typing import Any

import orjson
import structlog
from authlib.oauth2 import AuthorizationServer, ClientAuthentication, OAuth2Error, OAuth2Request
from authlib.oauth2.rfc6749 import ClientCredentialsGrant, ClientMixin, OAuth2Payload
from authlib.oauth2.rfc6749.errors import InvalidClientError, InvalidRequestError
from authlib.oauth2.rfc6749.util import extract_basic_authorization, scope_to_list
from authlib.oauth2.rfc6750 import BearerTokenGenerator
from django.core.exceptions import SuspiciousOperation
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, QueryDict
from django.views.decorators.csrf import csrf_exempt
from scim2_models.exceptions import SCIMException

from identity_hub.core.allowance import Allowance
from identity_hub.core.client_address import address_of
from identity_hub.core.request_id import current_request_id
from provisioning import addresses
from provisioning.models import ScimClient
from provisioning.selectors.credentials import client_named
from provisioning.selectors.tokens import digest
from provisioning.services import tokens
from scim import rates
from scim.requests import octets_of

MAX_BODY = 8 * 1024
FORM = "application/x-www-form-urlencoded"
ISSUED_A_MINUTE = 60
"""For each client, which needs one token an hour."""
FAILURES_A_MINUTE = 10
"""With one client's name from one address: a foreigner who knows the name locks nobody else out."""

_log = structlog.get_logger("scim.oauth")

_issued = Allowance("oauth-issued")
_failures = Allowance("oauth-failures")


class TooOften(OAuth2Error):
    """RFC 6585 4. RFC 6749 5.2 has no word for it; of 4.1.2.1 this one fits."""

    error = "temporarily_unavailable"
    description = "Too many requests; please come back later."
    status_code = 429

    def __init__(self, seconds: int) -> None:
        super().__init__()
        self.seconds = seconds

    def get_headers(self) -> list[tuple[str, str]]:
        return [*super().get_headers(), ("Retry-After", str(self.seconds))]


class Client(ClientMixin):
    """A client as Authlib asks about it. An unknown one costs the same and is refused in the same words."""

    def __init__(self, row: ScimClient | None) -> None:
        self.row = row
        self._digest = bytes(row.digest) if row is not None else b"\0" * 32

    def check_client_secret(self, client_secret: str) -> bool:
        return compare_digest(self._digest, digest(client_secret))

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return method in Grant.TOKEN_ENDPOINT_AUTH_METHODS

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type == Grant.GRANT_TYPE

    def get_allowed_scope(self, scope: str | None) -> str | None:
        """All of the client's where none was asked for; None, which refuses, where one is not the client's."""
        assert self.row is not None
        wanted = set(scope_to_list(scope) or self.row.scopes)
        given = [name for name in self.row.scopes if name in wanted]
        return " ".join(given) if len(given) == len(wanted) else None


class Grant(ClientCredentialsGrant):
    TOKEN_ENDPOINT_AUTH_METHODS = ["client_secret_basic", "client_secret_post"]


class _Payload(OAuth2Payload):
    """The parameters of the body. RFC 6749 2.3.1: they "MUST NOT be included in the request URI"."""

    def __init__(self, form: QueryDict) -> None:
        # RFC 6749 3.2: "Parameters sent without a value MUST be treated as if they were omitted".
        self._data = {name: value for name, value in form.items() if value}
        self._lists = defaultdict(list, {name: form.getlist(name) for name in form})

    @property
    def data(self) -> dict[str, str]:
        return self._data

    @property
    def datalist(self) -> defaultdict[str, list[str]]:
        return self._lists


class _Request(OAuth2Request):
    """A token request as Authlib reads it. Making one raises OAuth2Error for what is none (RFC 6749 5.2)."""

    def __init__(self, request: HttpRequest) -> None:
        # Our own address and not what a proxy made of it. Authlib refuses one that is neither https nor loopback.
        super().__init__("POST", addresses.scim_token_endpoint(), headers=request.headers)
        self.payload = _Payload(_form(request))
        if any(len(values) > 1 for values in self.payload.datalist.values()):
            raise InvalidRequestError("A parameter is there twice.")
        if self.payload.grant_type is None:
            raise InvalidRequestError("Say grant_type=client_credentials.")
        self.claimed = self._claimed()
        """The client ID that the request comes with; "" for none."""

    @property
    def form(self) -> dict[str, str]:
        return self.payload.data

    def _claimed(self) -> str:
        try:
            name, secret = extract_basic_authorization(self.headers)
        except ValueError:
            # Base64 of octets that are no text.
            raise InvalidClientError("The credentials cannot be read.", status_code=401) from None
        if secret and "client_secret" in self.payload.data:
            # RFC 6749 2.3: "The client MUST NOT use more than one authentication method in each request."
            raise InvalidRequestError("Authenticate by the header or in the body, not by both.")
        return name or self.payload.client_id or ""


def _form(request: HttpRequest) -> QueryDict:
    if request.content_type != FORM:
        raise InvalidRequestError(f"Send {FORM}.")
    try:
        body = octets_of(request, MAX_BODY + 1)
        if len(body) > MAX_BODY:
            raise InvalidRequestError("The body is too long.")
        return QueryDict(body, encoding="utf-8")
    except (SCIMException, SuspiciousOperation):
        raise InvalidRequestError("The body cannot be read.") from None


class Server(AuthorizationServer):
    def __init__(self) -> None:
        super().__init__()
        self._client_auth = ClientAuthentication(self.query_client)
        self.register_grant(Grant)
        self.register_token_generator(
            "default",
            BearerTokenGenerator(
                lambda **_: tokens.new_secret(),
                expires_generator=int(tokens.ACCESS_TOKEN_LIFE.total_seconds()),
            ),
        )

    def query_client(self, client_id: str) -> Client:
        return Client(client_named(client_id))

    def save_token(self, token: dict[str, Any], request: _Request) -> None:
        client: ScimClient = request.client.row
        if seconds := _issued.take(client.client_id, ISSUED_A_MINUTE):
            raise TooOften(seconds)
        kept = tokens.keep_access_token(
            client=client, secret=token["access_token"], scopes=token["scope"].split()
        )
        if kept is None:
            raise InvalidClientError("The client was revoked.", status_code=401)
        _log.info(
            "token:obtained", client=str(kept.client_id), token=str(kept.pk), tenant=str(kept.tenant_id)
        )

    def create_oauth2_request(self, request: _Request) -> _Request:
        return request

    def send_signal(self, name: str, *args: Any, **kwargs: Any) -> None:
        """Nobody listens."""

    def handle_response(
        self, status: int, body: dict[str, Any], headers: list[tuple[str, str]]
    ) -> HttpResponse:
        return HttpResponse(orjson.dumps(body), status=status, headers=dict(headers))


_server = Server()
_met: set[str] = set()
"""Client IDs that were right in this process: a stranger behind their address does not shut them out."""


@csrf_exempt
def token(request: HttpRequest) -> HttpResponse:
    """RFC 6749 5.1 for a client that is who it says, 5.2 for every other; 429 for one that asks or fails too often."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    address, claimed = address_of(request), ""
    try:
        asked = _Request(request)
        claimed = asked.claimed
        _guard(claimed, address)
        response = _server.create_token_response(asked)
    except OAuth2Error as refused:
        response = _server.handle_response(*refused())
    if response.status_code == 200:
        _met.add(claimed)
    elif response.status_code == 401:
        _failures.take(_whose(claimed, address), FAILURES_A_MINUTE)
        rates.failed(address)
        _log.warning("token:refused", request=current_request_id())
    return response


def _guard(claimed: str, address: str) -> None:
    stranger = claimed not in _met
    if seconds := _failures.spent(_whose(claimed, address)) or (stranger and rates.failing(address)):
        raise TooOften(seconds)


def _whose(claimed: str, address: str) -> str:
    # What a stranger calls itself may be of any length and in any letters.
    return f"{digest(claimed).hex()[:32]}@{address}"


def forget() -> None:
    """Begins anew in this process: for tests."""
    _issued.forget()
    _failures.forget()
    _met.clear()
