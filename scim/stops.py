"""Whether an administrator has stopped the writes of a connection. Knows no resource and no rule about people."""

from scim2_models.exceptions import SCIMException

from provisioning.decision.policy import Switch
from provisioning.selectors.tokens import Caller
from scim.errors import STOPPED_FOR_SECONDS
from scim.scopes import reads


class StoppedException(SCIMException):
    """RFC 9110 15.6.4: 503, with the time after which to try again."""

    status = 503
    _default_detail = "An administrator has stopped writes of this connection. Please send it again later."

    def __init__(self) -> None:
        super().__init__()
        self.headers = {"Retry-After": str(STOPPED_FOR_SECONDS)}
        self.hub_reason = "connection:stopped"


def demand(caller: Caller, endpoint: str, *, writes: bool) -> None:
    """503 for a write while writes are stopped. A search is a POST, and reads."""
    if writes and Switch.SCIM_WRITES in caller.stopped and not reads(endpoint):
        raise StoppedException
