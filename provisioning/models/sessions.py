"""Sessions in PostgreSQL: one ends by deleting its row, all of an identity's by raising its epoch."""

import hashlib

from django.contrib.sessions.base_session import AbstractBaseSession, BaseSessionManager
from django.db import models

from identity_hub.core.clock import now

from .base import TenantForeignKey
from .people import Identity


class SessionManager(BaseSessionManager):
    use_in_migrations = True


class Session(AbstractBaseSession):
    tenant = models.ForeignKey(
        "provisioning.Tenant", on_delete=models.CASCADE, related_name="+", null=True, db_index=False
    )
    identity = TenantForeignKey(Identity, on_delete=models.CASCADE, related_name="sessions", null=True)
    connection_id = models.UUIDField(null=True)
    account_id = models.UUIDField(null=True)
    session_index = models.CharField(max_length=256, blank=True)
    user_agent = models.CharField(max_length=256, blank=True)
    created_at = models.DateTimeField(default=now)

    objects = SessionManager()

    class Meta(AbstractBaseSession.Meta):
        abstract = False
        indexes = [models.Index(fields=["identity"], name="session_identity")]

    @property
    def handle(self) -> str:
        """Names a session on a page and in an address. The key is the cookie's value, so it never leaves the cookie."""
        return hashlib.sha256(self.session_key.encode()).hexdigest()[:32]

    @classmethod
    def get_session_store_class(cls) -> type:
        from provisioning.sessions import SessionStore  # noqa: PLC0415 - the store imports this model

        return SessionStore
