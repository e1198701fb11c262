"""Where a connection and a tenant answer, as their administrators enter it elsewhere. Knows no protocol and no page."""

from uuid import UUID

from django.conf import settings


def scim_base() -> str:
    """The same for every connection: the token says which one asks."""
    return f"{settings.HUB_PUBLIC_URL}/scim/v2"


def scim_token_endpoint() -> str:
    """Where an OAuth client exchanges its secret for a token."""
    return f"{settings.HUB_PUBLIC_URL}/scim/oauth/token"


def tenant_sign_in(slug: str) -> str:
    """Where people of one organisation begin without saying who they are."""
    return f"{settings.HUB_PUBLIC_URL}/login/{slug}/"


def saml_metadata(connection_id: UUID) -> str:
    """Also the service provider's entity ID."""
    return f"{settings.HUB_PUBLIC_URL}/saml/{connection_id}/metadata"


def saml_acs(connection_id: UUID) -> str:
    return f"{settings.HUB_PUBLIC_URL}/saml/{connection_id}/acs"


def saml_login(connection_id: UUID) -> str:
    return f"{settings.HUB_PUBLIC_URL}/saml/{connection_id}/login"


def saml_logout(connection_id: UUID) -> str:
    return f"{settings.HUB_PUBLIC_URL}/saml/{connection_id}/logout"
