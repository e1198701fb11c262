"""Which connection a request speaks for: its bearer token's. Knows no resource."""

from django.http import HttpRequest
from scim2_models.exceptions import UnauthorizedException

from identity_hub.core.clock import now
from provisioning.selectors import tokens
from provisioning.selectors.tokens import Caller


def caller_of(request: HttpRequest) -> Caller:
    """The token's connection; 401 without a valid one. One statement; once a minute one more.

    The answer is the same for a token that is unknown, expired, revoked, or of a connection without SCIM.
    """
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    # RFC 9110 11.1: the name of the scheme is matched without case.
    if scheme.lower() == "bearer" and token.strip():
        caller = tokens.connection_of(token.strip(), now())
        if caller is not None:
            return caller
        raise UnauthorizedException(detail="The bearer token is not valid.")
    raise UnauthorizedException(detail="Send the bearer token of a connection.")
