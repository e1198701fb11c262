"""The two resource types by which Okta reads what a person can be given, as data. Knows no request.

Okta's guide "Build a SCIM 2.0 server with entitlements" names the URNs and the attributes: `id`, `displayName`, `type`
(the resource type's name) and `description`. Nobody writes them here: a right is given by an administrator's mapping
of a directory group.
"""

from scim.schemas import JSON, kind_of


def _text(name: str, description: str, *, required: bool = False) -> JSON:
    return {
        "name": name,
        "type": "string",
        "multiValued": False,
        "description": description,
        "required": required,
        "caseExact": False,
        "mutability": "readOnly",
        "returned": "default",
        "uniqueness": "none",
    }


def _document(name: str, description: str) -> JSON:
    return {
        "id": f"urn:okta:scim:schemas:core:1.0:{name}",
        "name": name,
        "description": description,
        "attributes": [
            _text("displayName", "The name by which people know it.", required=True),
            _text("type", "The name of the resource type.", required=True),
            _text("description", "What it is for."),
        ],
    }


ROLE = kind_of(
    "Role",
    "/Roles",
    _document("Role", "A role that members of a directory group of this connection have in the hub."),
)
ENTITLEMENT = kind_of(
    "Entitlement",
    "/Entitlements",
    _document(
        "Entitlement", "A group of the hub that members of a directory group of this connection are in."
    ),
)
