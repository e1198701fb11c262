"""What an IdP that is a SCIM service provider has to be told to list its people. Knows no request."""

from provisioning.decision.authority import ENTERPRISE_USER
from provisioning.sources import Listing
from provisioning.sources.kinds import Kind, MakeWire, Settings, by_token

MAPPING = {
    # What an IdP calls a person itself is what it sends as externalId when it pushes her.
    "external_id": "id",
    "user_name": "userName",
    "active": "active",
    "email": "emails",
    "given_name": "name.givenName",
    "family_name": "name.familyName",
    "display_name": "displayName",
    "hr_number": f"{ENTERPRISE_USER}:employeeNumber",
    "department": f"{ENTERPRISE_USER}:department",
    "title": "title",
    "locale": "locale",
    "time_zone": "timezone",
}
"""Hub field -> path of a User, where an administrator says nothing else."""


def _opened(settings: Settings, wire: MakeWire) -> Listing:
    # The models take a second to load, and few processes list anybody.
    from .listing import ScimListing  # noqa: PLC0415

    return ScimListing(wire(by_token(settings)), settings.base, chosen=settings.chosen)


KIND = Kind(mapping=MAPPING, needs=(), open=_opened)
