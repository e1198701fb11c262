"""Who is signed in, on what, through which connection. Knows no key of a session and no page."""

from django.db.models import OuterRef, QuerySet, Subquery

from provisioning.models import Connection, Identity, OpenSession

SHOWN = 100


def with_connection(rows: QuerySet[OpenSession]) -> QuerySet[OpenSession]:
    """Adds `connection_name`; null for a sign-in with a password of the hub's own."""
    names = Connection.objects.filter(tenant=OuterRef("tenant"), pk=OuterRef("connection_id")).values("name")
    return rows.annotate(connection_name=Subquery(names))


def of_identity(identity: Identity) -> list[OpenSession]:
    """The newest first."""
    rows = OpenSession.objects.filter(tenant_id=identity.tenant_id, identity_id=identity.pk)
    return list(with_connection(rows)[:SHOWN])
