"""Who may call the operations API, and which tenant's rows a call may see. Knows no resource."""

from typing import Any
from uuid import UUID

from django.conf import settings
from django.http import HttpRequest
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import SessionAuthentication
from rest_framework.exceptions import NotFound
from rest_framework.permissions import BasePermission

from identity_hub.core.ids import as_uuid
from provisioning.models import Tenant


class StaffSession(SessionAuthentication):
    """The session of the admin. Names its scheme, so that a caller without one hears 401 and not 403."""

    def authenticate_header(self, request: Any) -> str:
        return 'Session realm="admin"'


class StaffSessionScheme(OpenApiAuthenticationExtension):
    target_class = StaffSession
    name = "staffSession"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {
            "type": "apiKey",
            "in": "cookie",
            "name": settings.SESSION_COOKIE_NAME,
            "description": "The session cookie of somebody who may enter the admin.",
        }


class IsStaff(BasePermission):
    message = "Only administrators may read this."

    def has_permission(self, request: Any, view: Any) -> bool:
        user = request.user
        if not user.is_authenticated or not user.is_active:
            return False
        return bool(user.is_superuser or (user.is_staff and user.tenant_id is not None))


def tenant_of(request: HttpRequest, named: str) -> UUID | None:
    """The tenant of the caller; for an installation superuser the one he named by slug or id, or None for all."""
    user = request.user
    if not named:
        return None if user.is_superuser else user.tenant_id
    reachable = Tenant.objects.all() if user.is_superuser else Tenant.objects.filter(pk=user.tenant_id)
    key = as_uuid(named)
    found = (
        (reachable.filter(pk=key) if key else reachable.filter(slug=named))
        .values_list("pk", flat=True)
        .first()
    )
    if found is None:
        # The same answer for another's tenant and for none: a caller does not learn which tenants there are.
        raise NotFound("There is no such tenant.")
    return found
