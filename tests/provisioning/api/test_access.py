"""Who may read the operations API, and whose rows: 401, 403 and 404 in JSON, another tenant's rows never."""

import base64
from urllib.parse import urlencode

import pytest
from django.test import Client

from provisioning.models import Account, AuditRecord

from ..admin.conftest import Enter
from ..admin.scene import Scene

LISTS = ["identities", "accounts", "findings", "runs", "audit", "scim-requests"]


def rows_of(scene: Scene) -> dict[str, object]:
    return {
        "identities": scene.active.pk,
        "accounts": Account.objects.filter(identity=scene.active).first().pk,
        "findings": scene.finding.pk,
        "runs": scene.run.pk,
        "audit": AuditRecord.objects.filter(tenant_id=scene.where.tenant.pk).first().pk,
        "scim-requests": scene.request.pk,
    }


def test_without_a_session_401_without_rights_403(enter: Enter, ours: Scene) -> None:
    for name in LISTS:
        addresses = (
            f"/api/v1/{name}",
            f"/api/v1/{name}/",
            f"/api/v1/{name}/{rows_of(ours)[name]}",
            "/api/v1/",
        )
        for address in addresses:
            stranger, person = Client().get(address), enter(ours.active).get(address)
            assert (stranger.status_code, person.status_code) == (401, 403), address
            assert stranger["WWW-Authenticate"].startswith("Session")
            assert set(stranger.json()) == set(person.json()) == {"detail"}


def test_a_scim_token_opens_nothing_here(ours: Scene) -> None:
    response = Client().get("/api/v1/identities", headers={"Authorization": f"Bearer {ours.where.token}"})
    assert response.status_code == 401


def test_a_hold_shuts_the_door_at_once(enter: Enter, admin: Client, ours: Scene) -> None:
    program = enter(ours.staff)
    assert program.get("/api/v1/identities").status_code == 200
    admin.post(
        f"/admin/provisioning/identity/{ours.staff.pk}/place-hold/", {"kind": "admin", "reason": "Left"}
    )
    assert program.get("/api/v1/identities").status_code == 401


def test_another_tenants_rows_are_not_there(admin: Client, ours: Scene, theirs: Scene) -> None:
    for name, key in rows_of(theirs).items():
        assert admin.get(f"/api/v1/{name}/{rows_of(ours)[name]}").status_code == 200
        response = admin.get(f"/api/v1/{name}/{key}")
        assert response.status_code == 404, name
        assert theirs.word not in response.content.decode()
        listed = admin.get(f"/api/v1/{name}", {"limit": 200}).content.decode()
        assert theirs.word not in listed, name
        assert str(key) not in listed or isinstance(key, int), name
    assert admin.get(f"/api/v1/runs/{theirs.run.pk}/items").json()["results"] == []
    assert admin.get(f"/api/v1/runs/{ours.run.pk}/items").json()["results"] != []


def test_filters_do_not_reach_another_tenant(admin: Client, theirs: Scene, ours: Scene) -> None:
    connection, identity = theirs.where.connection.pk, theirs.active.pk
    for address in (
        f"/api/v1/accounts?connection={connection}",
        f"/api/v1/accounts?identity={identity}",
        f"/api/v1/findings?connection={connection}",
        f"/api/v1/runs?connection={connection}",
        f"/api/v1/audit?identity={identity}",
        f"/api/v1/identities?email=ada@{theirs.where.domain}",
    ):
        assert admin.get(address).json()["results"] == [], address


def test_only_a_superuser_names_a_tenant(admin: Client, root: Client, ours: Scene, theirs: Scene) -> None:
    for named in (theirs.word, str(theirs.where.tenant.pk), "no-such-tenant"):
        assert admin.get("/api/v1/identities", {"tenant": named}).status_code == 404
    assert admin.get("/api/v1/identities", {"tenant": ours.word}).status_code == 200

    def tenants(**question: str) -> set[str]:
        rows = root.get("/api/v1/identities", {"limit": "200"} | question).json()["results"]
        return {row["tenant_id"] for row in rows} - {None}

    assert tenants() == {str(ours.where.tenant.pk), str(theirs.where.tenant.pk)}
    assert tenants(tenant=theirs.word) == {str(theirs.where.tenant.pk)}
    assert root.get("/api/v1/identities", {"tenant": "no-such-tenant"}).status_code == 404


def test_nothing_is_written_here(root: Client, ours: Scene) -> None:
    for name, key in rows_of(ours).items():
        for address in (f"/api/v1/{name}", f"/api/v1/{name}/{key}"):
            for method in ("post", "put", "patch", "delete"):
                response = getattr(root, method)(address, {}, content_type="application/json")
                assert response.status_code == 405, (method, address)
                assert "detail" in response.json()


@pytest.mark.parametrize(
    "key", ["garbage", "0", "-1", "99999999999999999999", "%00", "a%00b", "٣", "x" * 300]
)
def test_an_id_that_is_none_is_404(root: Client, ours: Scene, key: str) -> None:
    for name in LISTS:
        response = root.get(f"/api/v1/{name}/{key}")
        assert response.status_code == 404, name
        assert "detail" in response.json()
    assert root.get(f"/api/v1/runs/{key}/items").status_code in (200, 404)
    assert root.get(f"/api/v1/runs/{ours.run.pk}/items/{key}").status_code == 404


def test_an_unknown_address_is_404_in_json(root: Client, ours: Scene) -> None:
    response = root.get("/api/v1/nothing")
    assert (response.status_code, response["Content-Type"]) == (404, "application/json")


def cursor(**position: str) -> str:
    return base64.b64encode(urlencode(position).encode()).decode()


@pytest.mark.parametrize(
    "question",
    [
        {"limit": "0"},
        {"limit": "-1"},
        {"limit": "many"},
        {"limit": "100000"},
        {"colour": "red"},
        {"tenant": "a\x00b"},
        {"cursor": "garbage"},
        {"cursor": cursor(p="garbage")},
        {"cursor": cursor(p="a\x00b")},
        {"cursor": cursor(o="-1", p="x")},
    ],
    ids=repr,
)
def test_a_question_that_is_not_understood_is_refused(
    root: Client, ours: Scene, question: dict[str, str]
) -> None:
    for name in LISTS:
        response = root.get(f"/api/v1/{name}", question)
        assert response.status_code in (400, 404), name
        assert response["Content-Type"] == "application/json"


@pytest.mark.parametrize(
    "address",
    [
        "identities?enabled=perhaps",
        "identities?kind=robot",
        "identities?user_name=%00",
        "accounts?connection=garbage",
        "accounts?live=perhaps",
        "findings?status=lost",
        "runs?status=lost",
        "audit?identity=garbage",
        "audit?since=yesterday",
        "audit?reason=%00",
    ],
)
def test_a_filter_takes_only_what_it_can_mean(root: Client, ours: Scene, address: str) -> None:
    assert root.get(f"/api/v1/{address}").status_code == 400
