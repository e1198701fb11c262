"""Who a request is, for Django's authentication. Decides nothing: enabled is derived in the query."""

from typing import Any
from uuid import UUID

from django.contrib.auth.backends import BaseBackend
from django.core.exceptions import ValidationError
from django.http import HttpRequest

from provisioning.models import Identity


class HubBackend(BaseBackend):
    """Local identities sign in by password; everybody else only through a connection."""

    def authenticate(
        self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **_: Any
    ) -> Identity | None:
        if username is None or password is None:
            return None
        identity = Identity.objects.with_state().filter(login_name=username.strip(), local=True).first()
        if identity is None:
            # The same hashing work as for a name that exists, so that time does not tell which names do.
            Identity().set_password(password)
            return None
        return identity if identity.check_password(password) and identity.is_active else None

    def get_user(self, user_id: Any) -> Identity | None:
        """None for everybody who is not enabled: their next request is anonymous."""
        try:
            return (
                Identity.objects.with_state()
                .select_related("tenant")
                .filter(pk=UUID(str(user_id)), enabled=True)
                .first()
            )
        except (ValueError, ValidationError):
            return None

    def has_perm(self, user_obj: Any, perm: str, obj: Any = None) -> bool:
        return bool(user_obj.has_perm(perm, obj))
