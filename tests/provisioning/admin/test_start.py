"""The start page says the numbers that an administrator wants first, of the own tenant only."""

from django.test import Client

from .scene import Scene


def test_the_numbers_are_those_of_the_tenant(admin: Client, ours: Scene, theirs: Scene) -> None:
    page = admin.get("/admin/")
    assert page.status_code == 200
    shown = page.context["shown"]
    # Ada, Sam and Joe and the local administrator are enabled; Hal and Sue are held.
    assert (shown.people.enabled, shown.people.held) == (4, 2)
    assert shown.people.holds == {"scim": 1, "security": 1}
    assert shown.people.unconfirmed == 1
    assert shown.findings.total == 1
    assert shown.logins.refused == 1
    assert {connection.tenant_id for connection in shown.connections} == {ours.where.tenant.pk}
    assert theirs.word not in page.content.decode()
