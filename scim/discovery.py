"""What this server says of itself (RFC 7643 5 to 7, RFC 7644 4): exactly what is built, with its limits."""

from django_scim.settings import scim_settings
from scim2_models import ResourceType, ServiceProviderConfig

from scim import cursors, responses
from scim.bulk import MAX_PAYLOAD
from scim.bulk_plan import MAX_OPERATIONS
from scim.kinds import Kinds
from scim.queries import DEFAULT_COUNT, MAX_COUNT
from scim.schemas import JSON

SCHEMA_URN = "urn:ietf:params:scim:schemas:core:2.0:Schema"


def service_provider_config() -> JSON:
    """Every sub-object with its limits: one client switches PATCH off where bulk.maxOperations is missing."""
    config = ServiceProviderConfig.model_validate(
        {
            "schemas": [ServiceProviderConfig.__schema__],
            "patch": {"supported": True},
            "bulk": {"supported": True, "maxOperations": MAX_OPERATIONS, "maxPayloadSize": MAX_PAYLOAD},
            "filter": {"supported": True, "maxResults": MAX_COUNT},
            "changePassword": {"supported": False},
            "sort": {"supported": True},
            "etag": {"supported": True},
            "pagination": {
                "cursor": True,
                "index": True,
                "defaultPaginationMethod": "index",
                "defaultPageSize": DEFAULT_COUNT,
                "maxPageSize": MAX_COUNT,
                "cursorTimeout": int(cursors.LIFETIME.total_seconds()),
            },
            "authenticationSchemes": scim_settings.AUTHENTICATION_SCHEMES,
            "meta": {
                "resourceType": "ServiceProviderConfig",
                "location": f"{responses.base()}/ServiceProviderConfig",
            },
        }
    )
    document: JSON = config.model_dump()
    return document


def resource_types(kinds: Kinds) -> list[JSON]:
    """The types, with endpoints relative to the SCIM root (RFC 7643 6)."""
    return [
        {
            "schemas": [ResourceType.__schema__],
            "id": kind.name,
            "name": kind.name,
            "description": kind.description,
            "endpoint": kind.endpoint,
            "schema": kind.urn,
            **(
                {
                    "schemaExtensions": [
                        {"schema": extension.urn, "required": extension.required}
                        for extension in kind.extensions.values()
                    ]
                }
                if kind.extensions
                else {}
            ),
            "meta": {
                "resourceType": "ResourceType",
                "location": f"{responses.base()}/ResourceTypes/{kind.name}",
            },
        }
        for kind in kinds.values()
    ]


def schemas(kinds: Kinds) -> list[JSON]:
    return [
        {
            **document,
            "schemas": [SCHEMA_URN],
            "meta": {"resourceType": "Schema", "location": f"{responses.base()}/Schemas/{document['id']}"},
        }
        for kind in kinds.values()
        for document in kind.documents
    ]
