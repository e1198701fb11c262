"""The secret of a SCIM token is on one page, once, and nowhere else."""

import re

from django.test import Client

from identity_hub.core.clock import now
from provisioning.models import AuditRecord, AuditValue, ScimToken, Session
from provisioning.selectors.tokens import connection_of

from .scene import Scene


def issue(admin: Client, ours: Scene, **data: str) -> tuple[str, str]:
    """(the secret, the address of the connection)."""
    connection = f"/admin/provisioning/connection/{ours.where.connection.pk}"
    response = admin.post(f"{connection}/issue-token/", data)
    assert response.status_code == 200
    assert "no-store" in response["Cache-Control"]
    found = re.search(r"hub_[A-Za-z0-9_-]{40,}", response.content.decode())
    assert found is not None
    return found[0], f"{connection}/change/"


def test_it_is_shown_once_and_kept_nowhere(admin: Client, ours: Scene) -> None:
    secret, connection = issue(admin, ours, name="Entra", days="30")
    assert connection_of(secret, now()) is not None
    assert secret not in admin.get(connection).content.decode()
    assert secret not in admin.get("/admin/").content.decode()
    assert not any(secret in cookie.value for cookie in admin.cookies.values())
    for session in Session.objects.all():
        assert secret not in str(session.get_decoded())
    for record in AuditRecord.objects.all():
        assert secret not in str(record.changes)
    for values in AuditValue.objects.all():
        assert secret not in str(values.values)


def test_a_revoked_one_is_unknown_from_then_on(admin: Client, ours: Scene) -> None:
    secret, connection = issue(admin, ours)
    token = ScimToken.objects.filter(connection=ours.where.connection).first()
    address = connection.replace("change/", f"revoke/{token.pk}/")
    assert admin.get(address).status_code == 200
    assert connection_of(secret, now()) is not None  # asking is not doing
    admin.post(address, {"reason": "Rotated"})
    assert connection_of(secret, now()) is None
    assert admin.get(address).status_code == 404


def test_a_life_that_is_none_is_refused(admin: Client, ours: Scene) -> None:
    address = f"/admin/provisioning/connection/{ours.where.connection.pk}/issue-token/"
    before = ScimToken.objects.count()
    for days in ("0", "-1", "never", "99999"):
        assert admin.post(address, {"days": days}).status_code == 200
    assert ScimToken.objects.count() == before
