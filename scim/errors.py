"""How a refusal reads in SCIM: our reason codes and exceptions as status, scimType and detail. Knows no rule.

What a parser refuses is one of scim2-models' exceptions, one class per scimType (RFC 7644 3.12). The text of
any other exception stays inside.
"""

from collections.abc import Iterable, Mapping

from scim2_models.exceptions import SCIMException

from scim.schemas import JSON

ERROR_URN = "urn:ietf:params:scim:api:messages:2.0:Error"


class MethodNotAllowedException(SCIMException):
    """`allowed` are the methods of the address: RFC 9110 15.5.6 has a 405 name them in an Allow header."""

    status = 405
    _default_detail = "This address does not answer that method."

    def __init__(self, allowed: Iterable[str]) -> None:
        super().__init__()
        self.allowed = tuple(allowed)


class UnsupportedMediaTypeException(SCIMException):
    status = 415
    _default_detail = "Send application/scim+json or application/json."


class FailedException(SCIMException):
    """What the provisioning log calls an error of the hub's own; the client's answer comes from elsewhere."""

    status = 500
    _default_detail = "The hub failed."


STOPPED_FOR_SECONDS = 300
"""What is stopped waits for a person; clients keep a write that failed so, and send it again."""


class BusyException(SCIMException):
    """Others kept changing the same resource; nothing was written."""

    status = 503
    _default_detail = "The resource is being changed by others. Nothing was written; please try again."


REFUSALS: Mapping[str, tuple[int, str, str]] = {
    "account:unknown": (404, "", "There is no such user."),
    "account:user-name-taken": (409, "uniqueness", "Another user of this connection has this userName."),
    "account:external-id-taken": (409, "uniqueness", "Another user of this connection has this externalId."),
    "account:value-taken": (
        409,
        "uniqueness",
        "{attribute}: another user of this connection has this value.",
    ),
    "account:stale": (412, "", "The user has changed since the version in If-Match."),
    "account:deactivation-stopped": (
        503,
        "",
        "Deactivations of this connection are stopped until an administrator has looked. Please send it again later.",
    ),
    "group:unknown": (404, "", "There is no such group."),
    "group:external-id-taken": (409, "uniqueness", "Another group of this connection has this externalId."),
    "group:member-unknown": (
        400,
        "invalidValue",
        "members: a value is not the id of a user of this connection. Nothing was changed.",
    ),
    "resource:unknown": (404, "", "There is no such resource."),
    "resource:stale": (412, "", "The resource has changed since the version in If-Match."),
    "group:stale": (412, "", "The group has changed since the version in If-Match."),
}
"""Status, scimType and detail of every refusal that a SCIM request can meet."""


def refusal(reason: str, **facts: str) -> SCIMException:
    """The exception that answers a refused outcome; `facts` are those that its sentence names.

    It keeps the `reason` for the provisioning log.
    """
    status, scim_type, detail = REFUSALS[reason]
    error = SCIMException(detail=detail.format(**facts))
    error.status, error.scim_type = status, scim_type
    error.hub_reason = reason  # type: ignore[attr-defined]
    if status == BusyException.status:
        error.headers = {"Retry-After": str(STOPPED_FOR_SECONDS)}  # type: ignore[attr-defined]
    return error


def body_of(status: int, detail: str, scim_type: str = "") -> JSON:
    """A SCIM Error. RFC 7644 3.12: the "status" is "The HTTP status code ... expressed as a JSON string"."""
    body: JSON = {"schemas": [ERROR_URN], "status": str(status), "detail": detail}
    if scim_type:
        body["scimType"] = scim_type
    return body
