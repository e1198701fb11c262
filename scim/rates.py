"""How often one may ask: so many requests a minute for each token, so many failures for each address.

Knows no resource and no rule about people.
"""

from scim2_models.exceptions import SCIMException

from identity_hub.core.allowance import Allowance
from provisioning.selectors.tokens import Caller

FAILURES_A_MINUTE = 60
"""From one address. Many tenants' clients may share one (a cloud's gateway), so it is not low."""


class TooManyRequestsException(SCIMException):
    """RFC 6585 4; RFC 9110 10.2.3: `Retry-After` in seconds."""

    status = 429
    _default_detail = "Too many requests with this token in one minute; please come back later."

    def __init__(self, seconds: int, detail: str | None = None) -> None:
        super().__init__(detail=detail)
        self.headers = {"Retry-After": str(seconds)}


_requests = Allowance("scim-requests")
_failures = Allowance("scim-failures")


def admit(caller: Caller) -> None:
    """429 where the token has used up its minute."""
    if (limit := caller.requests_per_minute) and (seconds := _requests.take(caller.token_id, limit)):
        raise TooManyRequestsException(seconds)


def guard(address: str) -> None:
    """429 where too much from this address failed to authenticate.

    Ask it about tokens and clients that this process has not met lately: those that it knows go on working, also
    where somebody behind the same address guesses.
    """
    if seconds := failing(address):
        raise TooManyRequestsException(seconds, "Too many failed attempts from your address.")


def failing(address: str) -> int:
    """The seconds for which strangers from this address are not heard; 0 where they are."""
    return _failures.spent(address)


def failed(address: str) -> None:
    """A token or a secret from this address was wrong."""
    _failures.take(address, FAILURES_A_MINUTE)
