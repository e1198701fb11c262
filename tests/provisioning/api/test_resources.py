"""What the operations API tells: each list, its filters, its pages, and what a page costs."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from identity_hub.core.clock import now
from provisioning.models import AuditRecord, Identity
from provisioning.services import merging

from ..admin.scene import Scene, person
from ..cast import OPERATOR, extend, push, user


def results(client: Client, address: str, **question: Any) -> list[dict[str, Any]]:
    response = client.get(f"/api/v1/{address}", question)
    assert response.status_code == 200, response.content
    found: list[dict[str, Any]] = response.json()["results"]
    return found


def test_an_identity_says_whether_it_may_sign_in_and_why_not(admin: Client, ours: Scene) -> None:
    held = admin.get(f"/api/v1/identities/{ours.held.pk}").json()
    assert held["enabled"] is False
    assert [hold["kind"] for hold in held["holds"]] == ["scim"]
    assert [account["user_name"] for account in held["accounts"]] == [f"hal@{ours.where.domain}"]
    assert held["overrides"] == []
    assert {row["id"] for row in results(admin, "identities", enabled="false")} == {
        str(ours.held.pk),
        str(ours.security.pk),
    }
    assert str(ours.held.pk) not in {row["id"] for row in results(admin, "identities", enabled="true")}
    assert [row["id"] for row in results(admin, "identities", user_name=f"HAL@{ours.where.domain}")] == [
        str(ours.held.pk)
    ]


def test_accounts_by_connection_identity_and_key(admin: Client, ours: Scene) -> None:
    mine = results(admin, "accounts", identity=str(ours.active.pk))
    assert [row["external_id"] for row in mine] == [f"{ours.word}-1"]
    assert results(admin, "accounts", external_id=f"{ours.word}-1") == mine
    assert len(results(admin, "accounts", connection=str(ours.where.connection.pk), live="true")) == 5
    assert results(admin, "accounts", live="false") == []


def test_findings_and_runs_with_their_items(admin: Client, ours: Scene) -> None:
    finding = results(admin, "findings", status="open")[0]
    assert (finding["id"], finding["candidates"]) == (str(ours.finding.pk), [str(ours.active.pk)])
    assert finding["meaning"].endswith(".")
    assert finding["due"] > finding["opened_at"]
    assert finding["owner_id"] is None
    assert results(admin, "findings", owner=str(ours.administrator.pk)) == []
    assert [row["id"] for row in results(admin, "runs", status="simulated")] == [str(ours.run.pk)]
    items = results(admin, f"runs/{ours.run.pk}/items", status="planned")
    assert {item["reason"] for item in items} == {"account:expired"}
    assert admin.get(f"/api/v1/runs/{ours.run.pk}/items/{items[0]['id']}").json() == items[0]


def test_the_audit_of_one_person_since_a_moment(admin: Client, ours: Scene) -> None:
    reasons = [row["reason"] for row in results(admin, "audit", identity=str(ours.held.pk))]
    assert reasons[-1] == "account:created"
    assert "account:disabled" in reasons
    assert results(admin, "audit", since=now().isoformat()) == []


def test_the_provisioning_log_by_person_and_by_outcome(admin: Client, ours: Scene, theirs: Scene) -> None:
    refused = results(admin, "scim-requests", refused="true")
    assert [(row["id"], row["scim_type"]) for row in refused] == [(ours.request.pk, "uniqueness")]
    assert refused[0]["what"] == "Create user"
    assert refused[0]["meaning"].endswith(".")
    assert ours.where.domain not in str(refused)
    assert results(admin, "scim-requests", person=f"ADA@{ours.where.domain}") == refused
    assert results(admin, "scim-requests", person=f"{ours.word}-9", status=409) == refused
    assert results(admin, "scim-requests", identity=str(ours.active.pk)) == refused
    assert results(admin, "scim-requests", person="nobody") == []
    held = results(admin, "scim-requests", identity=str(ours.held.pk), refused="false")
    assert [row["action"] for row in held] == ["user.disable"]
    assert results(admin, "scim-requests", target=held[0]["target_id"]) == held
    assert results(admin, "scim-requests", since=now().isoformat()) == []
    assert len(results(admin, "scim-requests", until=now().isoformat())) == 2
    for key in (f"ada@{theirs.where.domain}", f"{theirs.word}-9"):
        assert results(admin, "scim-requests", person=key) == []
    assert results(admin, "scim-requests", identity=str(theirs.active.pk)) == []


def pages(client: Client, address: str) -> Iterator[list[dict[str, Any]]]:
    following = address
    while following:
        page = client.get(following).json()
        yield page["results"]
        following = page["next"]


@pytest.mark.parametrize("name", ["identities", "accounts", "audit"])
def test_pages_meet_every_row_once(admin: Client, ours: Scene, name: str) -> None:
    whole = [row["id"] for row in results(admin, name, limit=200)]
    by_twos = list(pages(admin, f"/api/v1/{name}?limit=2"))
    assert all(len(page) == 2 for page in by_twos[:-1])
    assert [row["id"] for page in by_twos for row in page] == whole


@pytest.mark.parametrize("name", ["identities", "accounts", "findings", "runs", "audit", "scim-requests"])
def test_a_page_costs_the_same_however_full_it_is(admin: Client, ours: Scene, name: str) -> None:
    def statements() -> int:
        with CaptureQueriesContext(connection) as queries:
            results(admin, name, limit=100)
        return len(queries)

    few = statements()
    for number in range(10):
        push(ours.where, person(ours.where, f"crowd{number}", "Crowd", "Person", 100 + number))
    assert statements() == few


def test_no_value_of_a_person_is_in_the_audit(admin: Client, ours: Scene) -> None:
    assert AuditRecord.objects.exists()
    # The domain alone is the tenant's; an address in it is a person's.
    assert f"@{ours.where.domain}" not in admin.get("/api/v1/audit", {"limit": 200}).content.decode()


def test_the_first_address_leads_to_every_resource(admin: Client, ours: Scene) -> None:
    addresses = admin.get("/api/v1/").json()
    assert set(addresses) == {"identities", "accounts", "findings", "runs", "audit", "scim-requests"}
    assert {admin.get(address).status_code for address in addresses.values()} == {200}


def test_the_schema_is_valid_and_complete(tmp_path: Any) -> None:
    call_command("spectacular", "--fail-on-warn", "--validate", "--file", str(tmp_path / "schema.yml"))
    said = (tmp_path / "schema.yml").read_text()
    for name in ("identities", "accounts", "findings", "runs", "audit", "scim-requests"):
        assert f"/api/v1/{name}/" in said


def test_the_schema_is_there_for_everybody(client: Client, db: None) -> None:
    response = client.get("/api/schema/")
    assert response.status_code == 200
    assert b"openapi: 3" in response.content


def test_an_id_that_was_merged_away_is_still_an_answer(admin: Client, ours: Scene) -> None:
    third = extend(ours.where.tenant, name="Third")
    twin = Identity.objects.get(pk=push(third, user("adal@third.example", "t1")).identity_id)
    assert admin.get(f"/api/v1/identities/{twin.pk}").json()["merged_into_id"] is None
    merging.merge(winner=ours.active, loser=twin, reason="One person", actor=OPERATOR)
    told = admin.get(f"/api/v1/identities/{twin.pk}").json()
    assert (told["merged_into_id"], told["enabled"], told["accounts"]) == (str(ours.active.pk), False, [])
    about = {row["identity_id"] for row in results(admin, "audit", identity=str(ours.active.pk))}
    assert about == {str(ours.active.pk), str(twin.pk)}
    assert {row["reason"] for row in results(admin, "audit", identity=str(twin.pk))} == {
        "account:created",
        "identity:merged-into",
    }
    page = admin.get("/admin/provisioning/auditrecord/", {"q": str(ours.active.pk)}).content.decode()
    assert "This identity ended in another one" in page
