"""The operator's commands: what they print for a script and for a person, and how they fail."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth import authenticate
from django.core.management import call_command, get_commands, load_command_class

from identity_hub.core.clock import now
from provisioning import reconciliation
from provisioning.decision.types import Actor, HoldKind
from provisioning.models import (
    AuditRecord,
    AuditValue,
    Connection,
    DirectoryGroup,
    Entitlement,
    Identity,
    Proof,
    ReconciliationRun,
)
from provisioning.selectors import tokens
from provisioning.services import people
from tests.names import Zone, serving
from tests.saml_sp.idp import TestIdp, key_pair

from ..cast import House, extend, push, sign_in, user
from ..reconciliation.listings import line, roster
from .conftest import Run

METADATA = TestIdp(entity_id="https://idp.example/saml", keys=key_pair("idp")).metadata()
COMMANDS = (
    "activate_connection",
    "add_domain",
    "allow_group",
    "assign_finding",
    "audit",
    "check_invariants",
    "create_administrator",
    "create_connection",
    "create_scim_client",
    "create_scim_token",
    "create_tenant",
    "decide_finding",
    "decide_run",
    "disable_connection",
    "encryption_key",
    "import_roster",
    "link_account",
    "list_findings",
    "list_rosters",
    "list_scim_tokens",
    "look_for_findings",
    "map_entitlement",
    "merge_identities",
    "override_attribute",
    "posture",
    "pull_roster",
    "readiness",
    "reconcile",
    "reseal_credentials",
    "revoke_scim_client",
    "revoke_scim_token",
    "roster_source",
    "rotate_scim_token",
    "scim_log",
    "show_identity",
    "switch",
    "undo_run",
    "unlink_account",
    "unmerge_identities",
    "verify_domain",
)


class TestSettingUp:
    def test_a_tenant_has_the_domains_that_the_operator_names(self, run: Run) -> None:
        said = run(
            "create_tenant", "acme", "--name", "Acme", "--domain", "acme.example", "--domain", "ACME.test"
        )
        assert said["domains"] == ["acme.example", "acme.test"]
        assert AuditRecord.objects.filter(reason="tenant:created", actor_kind="command").count() == 1

    @pytest.mark.parametrize(
        ("arguments", "says"),
        [
            pytest.param(["acme"], "taken", id="a name that is taken"),
            pytest.param(["a b"], "slug", id="a name with a blank"),
            pytest.param(["new", "--domain", "not a domain"], "not a domain", id="a domain that is none"),
            pytest.param(
                ["new", "--domain", "acme.example"], "Another tenant", id="a domain of another tenant"
            ),
            pytest.param([], "required", id="no name"),
        ],
    )
    def test_a_bad_tenant_is_refused(self, acme: House, fail: Run, arguments: list[str], says: str) -> None:
        assert says in fail("create_tenant", *arguments)

    def test_a_connection_is_a_draft_and_says_its_addresses(
        self, acme: House, run: Run, tmp_path: Path
    ) -> None:
        file = tmp_path / "idp.xml"
        file.write_text(METADATA)
        said = run(
            "create_connection",
            "--tenant",
            "acme",
            "--name",
            "Entra",
            "--jit",
            "create",
            "--idp-metadata",
            str(file),
            "--preset",
            "entra-id",
        )
        saml = f"{settings.HUB_PUBLIC_URL}/saml/{said['id']}"
        assert said == {
            "id": said["id"],
            "name": "Entra",
            "tenant": "acme",
            "status": "draft",
            "jit": "create",
            "preset": "entra-id",
            "user_name_attribute": "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name",
            "external_id_attribute": "http://schemas.microsoft.com/identity/claims/objectidentifier",
            "domains": ["acme.example"],
            "idp_entity_id": "https://idp.example/saml",
            "scim_base_url": f"{settings.HUB_PUBLIC_URL}/scim/v2",
            "sp_entity_id": f"{saml}/metadata",
            "acs_url": f"{saml}/acs",
            "metadata_url": f"{saml}/metadata",
        }
        assert Connection.objects.get(pk=said["id"]).idp_metadata == METADATA

    def test_a_draft_comes_into_use_when_what_is_open_is_accepted(
        self, acme: House, run: Run, fail: Run
    ) -> None:
        run("create_connection", "--tenant", "acme", "--name", "Pushes")
        assert "a path for leavers" in fail("activate_connection", "--connection", "Pushes")
        assert "the items are" in fail("activate_connection", "--connection", "Pushes", "--accept", "all=x")
        said = run(
            "activate_connection",
            *(
                "--connection",
                "Pushes",
                "--accept",
                "lifecycle=A trial.",
                "--accept",
                "deactivation=A trial.",
            ),
        )
        assert said["status"] == "active"
        states = {one["item"]: one["state"] for one in said["readiness"]}
        assert (states["lifecycle"], states["mapping"]) == ("accepted", "not-needed")
        assert (
            run("disable_connection", "--connection", "Pushes", "--reason", "Over.")["status"] == "disabled"
        )

    def test_one_that_cannot_be_accepted_leaves_no_other_acceptance_behind(
        self, acme: House, run: Run, fail: Run
    ) -> None:
        run("create_connection", "--tenant", "acme", "--name", "Pushes")
        fail(
            "activate_connection",
            *("--connection", "Pushes", "--accept", "lifecycle=A trial.", "--accept", "certificate=No."),
        )
        assert not Proof.objects.exists()

    def test_the_operator_puts_a_connection_into_use_untested(self, acme: House, run: Run) -> None:
        said = run(
            "create_connection", "--tenant", "acme", "--name", "Pushes", "--activate", "From the old hub."
        )
        assert said["status"] == "active"

    def test_the_list_ends_with_1_while_something_is_open(
        self, acme: House, run: Run, capsys: pytest.CaptureFixture[str]
    ) -> None:
        run("create_connection", "--tenant", "acme", "--name", "Pushes")
        with pytest.raises(SystemExit) as ended:
            call_command("readiness", "--connection", "Pushes")
        assert ended.value.code == 1
        told = capsys.readouterr().out
        assert "Pushes (draft)" in told
        assert "lifecycle" in told

    def test_a_domain_that_is_named_is_verified_and_the_only_one(self, acme: House, run: Run) -> None:
        said = run("create_connection", "--tenant", "acme", "--name", "Sub", "--domain", "sub.acme.example")
        assert said["domains"] == ["sub.acme.example"]

    @pytest.mark.parametrize(
        ("document", "says"),
        [
            pytest.param("no xml", "not well-formed", id="not XML"),
            pytest.param("<a/>", "no identity provider", id="no metadata"),
            pytest.param('<!DOCTYPE a [<!ENTITY x "y">]>' + METADATA, "DOCTYPE", id="a DOCTYPE"),
            pytest.param("\x89PNG\x00\xff", "not", id="a picture"),
        ],
    )
    def test_metadata_that_is_none_is_refused(
        self, acme: House, fail: Run, tmp_path: Path, document: str, says: str
    ) -> None:
        file = tmp_path / "idp.xml"
        file.write_bytes(document.encode("latin-1"))
        assert says in fail(
            "create_connection", "--tenant", "acme", "--name", "X", "--idp-metadata", str(file)
        )
        assert not Connection.objects.filter(name="X").exists()

    @pytest.mark.parametrize(
        ("arguments", "says"),
        [
            pytest.param(["--tenant", "nobody", "--name", "X"], "no tenant", id="an unknown tenant"),
            pytest.param(["--tenant", "acme", "--name", "Main"], "of this name", id="a name that is taken"),
            pytest.param(
                ["--tenant", "acme", "--name", "X", "--jit", "yes"], "invalid choice", id="a JIT mode"
            ),
            pytest.param(
                ["--tenant", "acme", "--name", "X", "--idp-metadata", "/nowhere"],
                "cannot be read",
                id="no file",
            ),
            pytest.param(
                ["--tenant", "acme", "--name", "X", "--idp-metadata", "ftp://x.example/"],
                "https",
                id="no web address",
            ),
            pytest.param(
                ["--tenant", "acme", "--name", "X", "--external-id-attribute", "mail"],
                "external id attribute: ",
                id="an e-mail attribute for a key",
            ),
        ],
    )
    def test_a_bad_connection_is_refused(
        self, acme: House, fail: Run, arguments: list[str], says: str
    ) -> None:
        assert says in fail("create_connection", *arguments)

    def test_a_token_is_shown_once_and_works(self, acme: House, run: Run, read: Callable[..., str]) -> None:
        said = run("create_scim_token", "--connection", str(acme.connection.pk), "--days", "30")
        caller = tokens.connection_of(said["token"], now())
        assert caller is not None
        assert caller.connection_id == acme.connection.pk
        assert tokens.connection_of(said["token"], now() + timedelta(days=31)) is None
        assert "shown once" in read("create_scim_token", "--connection", "Main")

    def test_a_name_that_two_connections_have_needs_a_tenant(
        self, acme: House, globex: House, run: Run, fail: Run
    ) -> None:
        assert "Several connections" in fail("create_scim_token", "--connection", "Main")
        said = run("create_scim_token", "--connection", "Main", "--tenant", "globex")
        assert said["connection"] == str(globex.connection.pk)
        assert "no connection" in fail(
            "create_scim_token", "--connection", str(acme.connection.pk), "--tenant", "globex"
        )

    @pytest.mark.parametrize("days", ["0", "-1", "x"])
    def test_a_token_lives_for_some_days(self, acme: House, fail: Run, days: str) -> None:
        assert fail("create_scim_token", "--connection", "Main", f"--days={days}")


class TestTokens:
    @pytest.fixture
    def token(self, acme: House, run: Run) -> dict[str, str]:
        said: dict[str, str] = run(
            "create_scim_token", "--connection", "Main", "--scope", "users", "--days", "90"
        )
        return said

    def test_its_scopes_can_be_chosen(self, token: dict[str, str], fail: Run) -> None:
        assert token["scopes"] == ["users"]
        assert "invalid choice" in fail("create_scim_token", "--connection", "Main", "--scope", "root")

    @pytest.mark.parametrize("key", ["id", "prefix"])
    def test_a_rotation_leaves_both_working(self, token: dict[str, str], run: Run, key: str) -> None:
        said = run("rotate_scim_token", token[key], "--overlap-days", "3", "--reason", "Yearly")
        assert said["scopes"] == ["users"]
        assert said["replaces"]["id"] == token["id"]
        for secret in (token["token"], said["token"]):
            assert tokens.connection_of(secret, now()) is not None
        later = now() + timedelta(days=4)
        assert tokens.connection_of(token["token"], later) is None
        assert tokens.connection_of(said["token"], later) is not None

    def test_a_person_reads_when_the_old_one_ends(
        self, token: dict[str, str], read: Callable[..., str]
    ) -> None:
        said = read("rotate_scim_token", token["id"])
        assert "shown once" in said
        assert f"{token['prefix']}…, which ends" in said

    @pytest.mark.parametrize(
        "options",
        [
            ["--overlap-days", "-1"],
            ["--overlap-days", "9999999999999"],
            ["--days", "0"],
            ["--days", "9999999999"],
        ],
    )
    def test_a_rotation_has_its_limits(self, token: dict[str, str], fail: Run, options: list[str]) -> None:
        assert "0 to 90" in (said := fail("rotate_scim_token", token["id"], *options)) or "1 to 3650" in said

    def test_a_revoked_one_is_unknown(
        self, token: dict[str, str], run: Run, read: Callable[..., str], fail: Run
    ) -> None:
        assert run("revoke_scim_token", token["prefix"], "--reason", "Left")["revoked"] is True
        assert tokens.connection_of(token["token"], now()) is None
        assert "was revoked before" in read("revoke_scim_token", token["id"], "--reason", "Left")
        assert "has ended" in fail("rotate_scim_token", token["id"])

    def test_the_secret_itself_is_no_name(self, token: dict[str, str], fail: Run) -> None:
        assert "no such token" in fail("revoke_scim_token", token["token"], "--reason", "x")

    def test_a_client_is_made_listed_and_revoked(
        self, acme: House, run: Run, read: Callable[..., str], fail: Run
    ) -> None:
        made = run("create_scim_client", "--connection", "Main", "--name", "Okta", "--scope", "groups")
        assert made["token_endpoint"] == f"{settings.HUB_PUBLIC_URL}/scim/oauth/token"
        assert made["client_secret"].startswith("hub_client_")
        (listed,) = run("list_scim_tokens", "--connection", "Main")["clients"]
        assert (listed["client_id"], listed["scopes"], listed["state"]) == (
            made["client_id"],
            ["groups"],
            "live",
        )
        assert "Okta" in read("list_scim_tokens", "--connection", "Main")
        assert run("revoke_scim_client", made["client_id"], "--reason", "Left")["revoked"] is True
        assert run("list_scim_tokens", "--connection", "Main")["clients"][0]["state"] == "revoked"
        assert "was revoked before" in read("revoke_scim_client", made["id"], "--reason", "Left")
        assert "no OAuth client" in fail("revoke_scim_client", "nobody", "--reason", "x")

    def test_a_list_shows_no_secret(self, token: dict[str, str], run: Run, read: Callable[..., str]) -> None:
        run("rotate_scim_token", token["id"])
        listed = run("list_scim_tokens", "--connection", "Main")
        assert [row["state"] for row in listed["tokens"]] == ["live"] * 3
        assert listed["tokens"][0]["replaces"] == token["id"]
        assert token["token"] not in json.dumps(listed)
        assert token["prefix"] in read("list_scim_tokens", "--connection", "Main")


class TestAdministrators:
    def test_a_password_is_made_up_and_printed_once(self, run: Run) -> None:
        said = run("create_administrator", "--user-name", "root")
        assert (said["created"], said["tenant"]) == (True, None)
        assert authenticate(username="root", password=said["password"]).is_superuser
        again = run("create_administrator", "--user-name", "root")
        assert again == {"created": False, "id": said["id"], "user_name": "root", "tenant": None}

    def test_a_given_password_is_not_printed(
        self, acme: House, run: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HUB_TEST_PASSWORD", "correct horse battery")
        said = run(
            "create_administrator",
            "--user-name",
            "ann",
            "--tenant",
            "acme",
            "--password-env",
            "HUB_TEST_PASSWORD",
        )
        assert set(said) == {"created", "id", "user_name", "tenant"}
        identity = authenticate(username="ann", password="correct horse battery")
        assert (identity.tenant_id, identity.is_superuser, identity.is_staff) == (acme.tenant.pk, False, True)

    def test_a_name_with_other_rights_is_no_administrator(self, acme: House, run: Run, fail: Run) -> None:
        run("create_administrator", "--user-name", "ann", "--tenant", "acme")
        assert "does not administer" in fail("create_administrator", "--user-name", "ann")

    def test_a_variable_that_is_not_set_is_named(self, fail: Run) -> None:
        assert "NOT_THERE" in fail("create_administrator", "--user-name", "x", "--password-env", "NOT_THERE")


class TestEntitlements:
    def test_group_and_entitlement_are_made_where_missing(self, acme: House, run: Run) -> None:
        arguments = ["--tenant", "acme", "--connection", "Main", "--group", "Staff", "--entitlement", "Tools"]
        first = run("map_entitlement", *arguments)
        assert first["created"] is True
        assert run("map_entitlement", *arguments) == first | {"created": False}
        assert DirectoryGroup.objects.count() == Entitlement.objects.count() == 1


class TestReconcile:
    def test_simulates_and_executes(self, acme: House, run: Run) -> None:
        sign_in(acme, "jit-1", at=now() - timedelta(days=30))
        push(acme, user("ada@acme.example", "e1"))
        said = run("reconcile", "--connection", "Main")
        assert (said["status"], said["population"], said["destructive"]) == ("simulated", 2, 1)
        assert said["counts"] == {"account:expired": 1, "account:never-signed-in": 1}
        assert {item["status"] for item in said["items"]} == {"planned", "reported"}
        said = run("reconcile", "--connection", "Main", "--execute")
        assert said["status"] == "done"
        assert {item["status"] for item in said["items"]} == {"applied", "reported"}
        assert ReconciliationRun.objects.count() == 2

    def test_a_person_sees_a_table(self, acme: House, read: Callable[..., str]) -> None:
        sign_in(acme, "jit-1", at=now() - timedelta(days=30))
        said = read("reconcile", "--connection", "Main", "--execute")
        assert "account:expired" in said
        assert ": done" in said

    def test_a_quarantine_is_no_success(self, acme: House) -> None:
        for n in range(6):
            sign_in(acme, f"jit-{n}", at=now() - timedelta(days=30))
        with pytest.raises(SystemExit) as ended:
            call_command("reconcile", "--connection", "Main", "--execute", "--reason", "As agreed", "--json")
        assert ended.value.code == 3

    def test_a_run_that_waits_already_is_the_answer_and_why_somebody_asked_is_kept(self, acme: House) -> None:
        for n in range(6):
            sign_in(acme, f"jit-{n}", at=now() - timedelta(days=30))
        waiting = reconciliation.simulate(acme.connection, Actor(kind="schedule"))
        assert reconciliation.simulate(acme.connection, Actor(kind="schedule")).pk == waiting.pk
        assert not AuditRecord.objects.filter(reason="run:taken-up").exists()
        with pytest.raises(SystemExit):
            call_command("reconcile", "--connection", "Main", "--execute", "--reason", "As agreed", "--json")
        record = AuditRecord.objects.get(reason="run:taken-up")
        assert (record.object_id, record.actor_kind) == (waiting.pk, "command")
        assert AuditValue.objects.get(record_id=record.pk).values == {"reason": "As agreed"}

    def test_an_unknown_connection_is_an_error(self, acme: House, fail: Run) -> None:
        assert "no connection" in fail("reconcile", "--connection", "Nowhere")

    def test_a_run_compares_with_the_roster_that_is_named_and_says_that_it_is_verified(
        self, acme: House, run: Run, fail: Run, read: Callable[..., str]
    ) -> None:
        listing = roster(acme, line("ada@acme.example", "e1"), as_of=now() - timedelta(hours=2))
        said = run("reconcile", "--connection", "Main", "--roster", str(listing.pk), "--execute")
        assert (said["roster"], said["items_done"], said["items_total"]) == (str(listing.pk), 1, 1)
        assert (said["status"], said["remaining"]) == ("done", 0)
        told = read("reconcile", "--connection", "Main", "--status")
        assert "1 of 1" in told
        assert "nothing is left to do" in told
        roster(acme, line("bob@acme.example", "e2"), as_of=now() - timedelta(hours=1))
        assert "A newer roster is complete already" in fail(
            "reconcile", "--connection", "Main", "--roster", str(listing.pk)
        )
        assert "no roster" in fail("reconcile", "--connection", "Main", "--roster", "x")

    def test_what_is_left_to_do_is_no_success(self, acme: House) -> None:
        push(acme, user("ada@acme.example", "e1"), at=now() - timedelta(days=1))
        roster(acme, line("ada@acme.example", "e1", active=False))
        simulated = reconciliation.simulate(acme.connection, Actor(kind="command"), reason="As agreed")
        simulated.items.all().delete()
        # As if a worker had died here, and its items with it.
        ReconciliationRun.objects.update(status="executing")
        with pytest.raises(SystemExit) as ended:
            call_command("reconcile", "--connection", "Main", "--execute", "--reason", "As agreed", "--json")
        assert ended.value.code == 3
        assert ReconciliationRun.objects.get().remaining == 1

    def test_a_run_is_cancelled_with_a_reason(self, acme: House, run: Run, fail: Run) -> None:
        assert "no run yet" in fail("reconcile", "--connection", "Main", "--status")
        run("reconcile", "--connection", "Main")
        assert "in writing" in fail("reconcile", "--connection", "Main", "--cancel", "--reason", "")
        said = run("reconcile", "--connection", "Main", "--cancel", "--reason", "wrong file")
        assert said["status"] == "cancelled"
        assert run("reconcile", "--connection", "Main", "--status")["status"] == "cancelled"

    @pytest.mark.parametrize(
        ("status", "reason", "says"),
        [
            pytest.param(
                "quarantined", "wrong file", "decide_run", id="a run in quarantine is rejected instead"
            ),
            pytest.param("done", "wrong file", "is over", id="one that is over is not stopped any more"),
            pytest.param("simulated", "   ", "in writing", id="a blank is no reason"),
        ],
    )
    def test_what_cannot_be_cancelled_is_said(
        self, acme: House, run: Run, fail: Run, status: str, reason: str, says: str
    ) -> None:
        run("reconcile", "--connection", "Main")
        over = now() if status == "done" else None
        ReconciliationRun.objects.update(status=status, finished_at=over)
        assert says in fail("reconcile", "--connection", "Main", "--cancel", "--reason", reason)
        assert not AuditRecord.objects.filter(intent="cancel").exists()

    @pytest.mark.parametrize(("status", "stops"), [("executing", True), ("done", False), ("failed", False)])
    def test_only_a_run_at_work_stops(
        self, acme: House, run: Run, read: Callable[..., str], status: str, stops: bool
    ) -> None:
        run("reconcile", "--connection", "Main")
        ReconciliationRun.objects.update(status=status, cancel_requested_at=now())
        assert ("stops after the batch" in read("reconcile", "--connection", "Main", "--status")) is stops


class TestLookingUp:
    @pytest.fixture
    def ada(self, acme: House) -> Identity:
        outcome = push(acme, user("ada@acme.example", "e1"))
        return Identity.objects.get(pk=outcome.identity_id)

    def test_by_every_key(self, acme: House, ada: Identity, run: Run) -> None:
        account = ada.accounts.get()
        for key in (str(ada.pk), "ADA@acme.example", "e1", str(account.pk)):
            (found,) = run("show_identity", key)["identities"]
            assert (found["id"], found["enabled"]) == (str(ada.pk), True)
            assert found["accounts"][0]["externalId"] == "e1"

    def test_why_somebody_is_not_enabled(self, ada: Identity, run: Run, read: Callable[..., str]) -> None:
        people.place_hold(
            identity=ada, kind=HoldKind.SECURITY, reason="stolen", actor=Actor(kind="command", id="t")
        )
        (found,) = run("show_identity", str(ada.pk))["identities"]
        assert (found["enabled"], found["why"]) == (False, ["Security placed a hold."])
        assert [hold["kind"] for hold in found["holds"]] == ["security"]
        assert "Security placed a hold." in read("show_identity", str(ada.pk))

    def test_several_hits_are_listed(
        self, acme: House, globex: House, ada: Identity, run: Run, read: Callable[..., str]
    ) -> None:
        push(globex, user("ada@acme.example", "g1"))
        found = run("show_identity", "ada@acme.example")["identities"]
        assert [one["tenant"] for one in found] == ["acme", "globex"]
        assert "2 identities" in read("show_identity", "ada@acme.example")
        (only,) = run("show_identity", "ada@acme.example", "--tenant", "acme")["identities"]
        assert only["id"] == str(ada.pk)

    def test_nobody(self, fail: Run) -> None:
        assert "Nobody answers" in fail("show_identity", "nobody")

    def test_the_audit_of_one_person_is_in_order(
        self, acme: House, ada: Identity, run: Run, read: Callable[..., str]
    ) -> None:
        sign_in(acme, "ada@acme.example", format="unspecified", email="ada@acme.example")
        extend(acme.tenant, "Other")
        records = run("audit", "--identity", "ada@acme.example")["records"]
        assert [record["reason"] for record in records] == ["account:created", "login:account-bound"]
        assert all("ada@acme.example" not in json.dumps(record) for record in records)
        assert "account:created" in read("audit", "--identity", str(ada.pk))

    @pytest.mark.parametrize("since", ["2h", "1d", "2020-01-31", "2020-01-31T08:00", "2020-01-31T08:00:00Z"])
    def test_the_audit_since_a_moment(self, ada: Identity, run: Run, since: str) -> None:
        reasons = [record["reason"] for record in run("audit", "--since", since)["records"]]
        assert reasons[0] == "tenant:created"
        assert reasons[-1] == "account:created"

    def test_a_limit_keeps_the_newest(self, ada: Identity, run: Run) -> None:
        (record,) = run("audit", "--since", "1d", "--limit", "1")["records"]
        assert record["reason"] == "account:created"

    @pytest.mark.parametrize(
        "arguments",
        [
            [],
            ["--since", "soon"],
            ["--since", "2026-02-30"],
            ["--identity", "x"],
            ["--since=1d", "--limit=0"],
        ],
    )
    def test_a_bad_question_is_an_error(self, fail: Run, arguments: list[str]) -> None:
        assert fail("audit", *arguments)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_helps(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        call_command(name, "--help")
    assert ended.value.code == 0
    assert "--json" in capsys.readouterr().out


UNASKED = {
    *("attribute_quality", "audit", "list_findings", "list_rosters", "list_scim_tokens"),
    *("posture", "readiness", "scim_log", "show_identity"),
    "check_invariants",  # looks
    "look_for_findings",  # asks now what the schedule asks at night
    "refresh_metadata",  # reads now what is read every hour
    "reseal_credentials",  # what is sealed stays the same
    "verify_domain",  # --by-hand has the reason; else the DNS speaks
}


def test_whatever_changes_something_takes_a_reason() -> None:
    silent = set()
    for name, app in get_commands().items():
        if app in ("provisioning", "saml_sp"):
            parser = load_command_class(app, name).create_parser("manage.py", name)
            if "--reason" not in parser.format_help():
                silent.add(name)
    assert silent == UNASKED


def test_a_misspelt_option_is_json_too() -> None:
    done = subprocess.run(
        [sys.executable, "manage.py", "create_tenant", "--nmae", "x", "--json"],
        cwd=settings.BASE_DIR,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "error" in json.loads(done.stdout)
    assert "Traceback" not in done.stderr


class TestDomains:
    @pytest.fixture
    def zone(self, settings: Any) -> Iterator[Zone]:
        with serving() as zone:
            settings.HUB_DNS_SERVERS = [zone.address]
            yield zone

    def test_a_domain_is_proved_by_the_record_that_is_printed(
        self, acme: House, run: Run, read: Callable[..., str], zone: Zone
    ) -> None:
        named = ("--tenant", "acme", "--domain", "Labs.example")
        record = run("add_domain", *named)["record"]
        assert record["name"] == "_identity-hub.labs.example"
        assert record["value"] in read("add_domain", *named)
        with pytest.raises(SystemExit):
            read("verify_domain", *named)
        zone.texts[record["name"]] = [f'"{record["value"]}"']
        said = run("verify_domain", *named)
        assert (said["domain"], said["verified"], said["verified_how"]) == ("labs.example", True, "dns")

    def test_a_domain_is_taken_by_the_operators_word(self, acme: House, run: Run) -> None:
        run("add_domain", "--tenant", "acme", "--domain", "labs.example")
        said = run("verify_domain", "--tenant", "acme", "--domain", "labs.example", "--by-hand", "Known")
        assert said["verified_how"] == "operator"
        assert AuditRecord.objects.filter(reason="tenant:domain-verified", actor_kind="command").exists()

    @pytest.mark.parametrize(
        ("arguments", "says"),
        [
            pytest.param(["add_domain", "--domain", "localhost"], "not a domain", id="a single label"),
            pytest.param(["add_domain", "--domain", "globex.example"], "Another tenant", id="another's"),
            pytest.param(["verify_domain", "--domain", "x.example"], "has no domain", id="not added"),
            pytest.param(
                ["verify_domain", "--domain", "acme.example", "--by-hand", ""], "how you know", id="no reason"
            ),
        ],
    )
    def test_what_cannot_be_is_refused(
        self, acme: House, globex: House, fail: Run, arguments: list[str], says: str
    ) -> None:
        assert says in fail(*arguments, "--tenant", "acme")


class TestSwitch:
    def test_it_stops_and_lets_go_on_for_a_reason(
        self, acme: House, run: Run, read: Callable[..., str]
    ) -> None:
        which = ("switch", "--connection", str(acme.connection.pk))
        assert read(*which) == "Nothing of Main is stopped.\n"
        said = run(*which, "--stop", "scim-writes", "--reason", "The IdP was restored from a backup")
        assert list(said["stopped"]) == ["scim-writes"]
        assert "The IdP was restored" in read(*which)
        assert run(*which, "--resume", "scim-writes", "--reason", "Mended")["stopped"] == {}
        assert AuditRecord.objects.filter(reason="connection:stopped", actor_kind="command").count() == 1

    @pytest.mark.parametrize(
        ("arguments", "says"),
        [
            pytest.param(["--stop", "runs", "--reason", ""], "in writing", id="without a reason"),
            pytest.param(["--stop", "everything", "--reason", "x"], "everything", id="what is no switch"),
            pytest.param(["--resume", "runs", "--reason", "x"], "not stopped", id="what goes on anyway"),
        ],
    )
    def test_it_refuses(self, acme: House, fail: Run, arguments: list[str], says: str) -> None:
        assert says in fail("switch", "--connection", str(acme.connection.pk), *arguments)
