"""The secret of a SCIM token or OAuth client is on one page, once, and nowhere else; the rest can be seen."""

import re
from datetime import timedelta

import pytest
from django.test import Client

from identity_hub.core.clock import now
from provisioning.models import AuditRecord, AuditValue, ScimClient, ScimToken, Session
from provisioning.selectors.tokens import connection_of
from provisioning.services.tokens import keep_access_token, new_secret, rotate_token

from ..cast import OPERATOR
from .scene import Scene

ALL = ["read", "users", "groups"]
SECRET = re.compile(r"hub_[A-Za-z0-9_-]{40,}")


def page(ours: Scene, rest: str = "change/") -> str:
    return f"/admin/provisioning/connection/{ours.where.connection.pk}/{rest}"


def shown(admin: Client, address: str, **data: object) -> str:
    """The secret on the page that answers a POST."""
    response = admin.post(address, {"reason": "x"} | data)
    assert response.status_code == 200
    assert "no-store" in response["Cache-Control"]
    found = SECRET.search(response.content.decode())
    assert found is not None
    return found[0]


def issue(admin: Client, ours: Scene, **data: object) -> str:
    return shown(admin, page(ours, "issue-token/"), **{"scopes": ALL} | data)


def kept_nowhere(admin: Client, ours: Scene, secret: str) -> None:
    assert secret not in admin.get(page(ours)).content.decode()
    assert secret not in admin.get("/admin/").content.decode()
    assert not any(secret in cookie.value for cookie in admin.cookies.values())
    for session in Session.objects.all():
        assert secret not in str(session.get_decoded())
    for record in AuditRecord.objects.all():
        assert secret not in str(record.changes)
    for values in AuditValue.objects.all():
        assert secret not in str(values.values)


def test_it_is_shown_once_and_kept_nowhere(admin: Client, ours: Scene) -> None:
    secret = issue(admin, ours, name="Entra", days="30", scopes=["users"])
    caller = connection_of(secret, now())
    assert caller is not None
    assert caller.scopes == {"users"}
    kept_nowhere(admin, ours, secret)


def test_a_revoked_one_is_unknown_from_then_on(admin: Client, ours: Scene) -> None:
    secret = issue(admin, ours)
    token = ScimToken.objects.filter(connection=ours.where.connection).first()
    address = page(ours, f"revoke/{token.pk}/")
    assert admin.get(address).status_code == 200
    assert connection_of(secret, now()) is not None  # asking is not doing
    admin.post(address, {"reason": "Rotated"})
    assert connection_of(secret, now()) is None
    assert admin.get(address).status_code == 404


def test_a_life_that_is_none_is_refused(admin: Client, ours: Scene) -> None:
    before = ScimToken.objects.count()
    for days in ("0", "-1", "never", "99999"):
        assert (
            admin.post(page(ours, "issue-token/"), {"days": days, "scopes": ALL, "reason": "x"}).status_code
            == 200
        )
    assert ScimToken.objects.count() == before


@pytest.mark.parametrize("scopes", [[], ["root"]], ids=["no scope", "a made-up scope"])
def test_a_token_that_could_do_nothing_is_refused(admin: Client, ours: Scene, scopes: list[str]) -> None:
    before = ScimToken.objects.count()
    for address in (page(ours, "issue-token/"), page(ours, "add-client/")):
        answer = admin.post(address, {"scopes": scopes, "reason": "x"})
        assert SECRET.search(answer.content.decode()) is None
    assert (ScimToken.objects.count(), ScimClient.objects.count()) == (before, 1)


class TestRotation:
    def test_both_are_shown_side_by_side_until_the_new_one_is_in_use(
        self, admin: Client, ours: Scene
    ) -> None:
        old = ours.token
        ScimToken.objects.filter(pk=old.pk).update(last_used_at=now() - timedelta(minutes=5))
        asked = admin.get(page(ours, f"rotate/{old.pk}/")).content.decode()
        assert old.prefix in asked
        secret = shown(admin, page(ours, f"rotate/{old.pk}/"), overlap="2", days="", reason="Yearly")
        kept_nowhere(admin, ours, secret)

        waiting = admin.get(page(ours)).content.decode()
        assert "Not switched yet" in waiting
        assert "never used" in waiting
        assert "used 5\xa0minutes ago" in waiting
        assert "ends in 1\xa0day" in waiting

        assert connection_of(secret, now()) is not None  # the identity provider sends the new one
        assert "Switched" in admin.get(page(ours)).content.decode()
        assert connection_of(ours.where.token, now()) is not None  # and one of its jobs the old one
        assert "Both in use" in admin.get(page(ours)).content.decode()

        admin.post(page(ours, f"revoke/{old.pk}/"), {"reason": "Switched"})
        after = admin.get(page(ours)).content.decode()
        assert "hub-rotation" not in after
        assert "revoked" in after

    def test_an_empty_overlap_means_a_week(self, admin: Client, ours: Scene) -> None:
        shown(admin, page(ours, f"rotate/{ours.token.pk}/"), reason="Yearly")
        ours.token.refresh_from_db()
        assert timedelta(days=6) < ours.token.expires_at - now() <= timedelta(days=7)

    def test_a_second_successor_is_refused_with_a_sentence(self, admin: Client, ours: Scene) -> None:
        rotate_token(token=ours.token, actor=OPERATOR, reason="As agreed")
        answer = admin.post(page(ours, f"rotate/{ours.token.pk}/"), {"reason": "Again"})
        assert "has a successor already" in answer.content.decode()
        assert ScimToken.objects.filter(connection=ours.where.connection).count() == 2


class TestClients:
    def test_its_secret_is_shown_once(self, admin: Client, ours: Scene) -> None:
        secret = shown(admin, page(ours, "add-client/"), name="Okta", scopes=["users", "groups"])
        assert secret.startswith("hub_client_")
        kept_nowhere(admin, ours, secret)
        client = ScimClient.objects.get(name="Okta")
        listed = admin.get(page(ours)).content.decode()
        assert client.client_id in listed
        assert "may: users, groups" in listed

    def test_a_revoked_one_takes_its_tokens_along(self, admin: Client, ours: Scene) -> None:
        secret = new_secret()
        keep_access_token(client=ours.client, secret=secret, scopes=ALL)
        assert "1 live token" in admin.get(page(ours)).content.decode()
        assert connection_of(secret, now()) is not None
        address = page(ours, f"revoke-client/{ours.client.pk}/")
        assert admin.get(address).status_code == 200
        admin.post(address, {"reason": "Left"})
        assert connection_of(secret, now()) is None
        assert admin.get(address).status_code == 404
