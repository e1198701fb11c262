"""Sessions in PostgreSQL: one ends by deleting its row, all of an identity's by raising its epoch."""

import hashlib
from typing import Any

from django.contrib.sessions.base_session import AbstractBaseSession, BaseSessionManager
from django.db import models
from django.db.models import Q

from identity_hub.core.clock import now
from provisioning.decision.types import PERSISTENT

from .base import TenantForeignKey
from .people import Identity


def handle_of(session_key: str) -> str:
    """What names a session where its key must not be."""
    return hashlib.sha256(session_key.encode()).hexdigest()[:32]


def name_id_digest(value: str, name_format: str) -> str:
    """What a session keeps of what its IdP calls the person.

    A persistent NameID and any other with the same value are two people's. The other formats say the same of one
    person in different words: IdPs assert an `emailAddress` and sign out an `unspecified`.
    """
    kind = "persistent" if name_format == PERSISTENT else ""
    return hashlib.sha256(f"{kind}\0{value}".encode("utf-8", "surrogatepass")).hexdigest()


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
    name_id_digest = models.CharField(max_length=64, blank=True, db_default="")
    """By which the NameID of an IdP's LogoutRequest finds it (`name_id_digest`)."""
    user_agent = models.CharField(max_length=256, blank=True)
    network = models.GenericIPAddressField(null=True)
    """Where it began: an address without its last part."""
    handle = models.CharField(max_length=32, db_default="")
    """Names a session on a page and in an address. The key is the cookie's value, so it never leaves the cookie."""
    created_at = models.DateTimeField(default=now)
    seen_at = models.DateTimeField(null=True)
    """When its browser last asked for something, to the minute; only where its connection limits idleness."""
    ends_unused_at = models.DateTimeField(null=True)
    """When it ends if its browser asks for nothing more; it may end before that."""

    objects = SessionManager()

    class Meta(AbstractBaseSession.Meta):
        abstract = False
        indexes = [
            models.Index(fields=["identity"], name="session_identity"),
            models.Index(fields=["handle"], name="session_handle"),
            models.Index(
                fields=["name_id_digest", "connection_id"],
                condition=~Q(name_id_digest=""),
                name="session_name_id",
            ),
        ]

    def __str__(self) -> str:
        return self.handle

    def save(self, *arguments: Any, **options: Any) -> None:
        self.handle = handle_of(self.session_key)
        super().save(*arguments, **options)

    @classmethod
    def get_session_store_class(cls) -> type:
        from provisioning.sessions import SessionStore  # noqa: PLC0415 - the store imports this model

        return SessionStore


class OpenSessions(models.Manager["OpenSession"]):
    def get_queryset(self) -> "models.QuerySet[OpenSession]":
        at = now()
        unused = Q(ends_unused_at=None) | Q(ends_unused_at__gt=at)
        return (
            super()
            .get_queryset()
            .filter(unused, identity__isnull=False, expire_date__gt=at)
            .exclude(handle="")
        )


class OpenSession(models.Model):
    """The same rows for whoever looks at them: somebody's, not over, and without the key and what lies under it.

    What does not have the key cannot show it, in no list, address or log.
    """

    handle = models.CharField(max_length=32, primary_key=True)
    tenant = models.ForeignKey(
        "provisioning.Tenant", on_delete=models.DO_NOTHING, related_name="+", null=True, db_constraint=False
    )
    identity = TenantForeignKey(Identity, related_name="+", null=True)
    connection_id = models.UUIDField(null=True)
    user_agent = models.CharField(max_length=256, blank=True)
    network = models.GenericIPAddressField(null=True)
    created_at = models.DateTimeField("since")
    seen_at = models.DateTimeField("last used", null=True)
    ends_unused_at = models.DateTimeField("ends without use", null=True)
    expire_date = models.DateTimeField("until")

    objects = OpenSessions()

    class Meta:
        managed = False
        db_table = "provisioning_session"
        ordering = ["-created_at"]
        verbose_name = "session"

    def __str__(self) -> str:
        return f"{self.device}, since {self.created_at:%Y-%m-%d %H:%M}"

    @property
    def device(self) -> str:
        """A few words that a person recognises a device by; no attempt to be exact."""
        program = next((name for mark, name in _PROGRAMS if f"{mark}/" in self.user_agent), "")
        system = next((name for mark, name in _SYSTEMS if mark in self.user_agent), "")
        return " on ".join(filter(None, (program, system))) or "Unknown device"


_PROGRAMS = (
    ("Edg", "Edge"),
    ("OPR", "Opera"),
    ("Firefox", "Firefox"),
    ("Chrome", "Chrome"),
    ("Safari", "Safari"),
)
_SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("Mac OS", "Mac"),
    ("Linux", "Linux"),
)
