"""Roles and entitlements: what a connection's groups are mapped to, read and never written. Knows no rule."""

from typing import ClassVar

from provisioning.selectors import entitlements as selector
from provisioning.selectors.entitlements import EntitlementDocument
from scim import responses
from scim.mapping import etag
from scim.projection import Projection
from scim.resources import Resources
from scim.schemas import JSON, ResourceKind


class _Entitlements(Resources[EntitlementDocument]):
    subject = "resource"
    # A right is given by an administrator's mapping; no IdP makes or changes one.
    verbs: ClassVar[dict[str, str]] = {"GET": "read", "HEAD": "read"}
    list_verbs: ClassVar[dict[str, str]] = {"GET": "find", "HEAD": "find"}

    def version_of(self, found: EntitlementDocument) -> int:
        return found.version

    def resource_of(self, found: EntitlementDocument, kind: ResourceKind, wanted: Projection) -> JSON:
        return {
            "schemas": [kind.urn],
            "id": str(found.id),
            **found.resource,
            "meta": {
                "resourceType": kind.name,
                "version": etag(found.version),
                "location": f"{responses.base()}{kind.endpoint}/{found.id}",
            },
        }


class Roles(_Entitlements):
    name, endpoint = "Role", "Roles"
    table = selector.ROLES


class Entitlements(_Entitlements):
    name, endpoint = "Entitlement", "Entitlements"
    table = selector.ENTITLEMENTS


ROLES = Roles()
ENTITLEMENTS = Entitlements()
