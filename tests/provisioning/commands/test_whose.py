"""Links and merges by command: what would follow, what did, and how it is refused."""

from collections.abc import Callable
from typing import Any

import pytest
from django.core.management import call_command

from provisioning.models import Account, AuditRecord, Identity, Merge

from ..cast import House, extend, push, user
from .conftest import Run


@pytest.fixture
def okta(acme: House) -> House:
    return extend(acme.tenant, "Okta")


@pytest.fixture
def pair(acme: House, okta: House) -> tuple[Any, Any]:
    return push(acme, user("ada@acme.example", "e1")), push(okta, user("adal@okta.example", "o1"))


class TestLinks:
    def test_an_account_is_looked_at_taken_off_and_linked(self, pair: tuple[Any, Any], run: Run) -> None:
        one, other = pair
        named = ("o1", "--connection", "Okta")
        said = run("unlink_account", *named, "--dry-run")
        assert (said["reason"], said["accepted"], said["dry_run"]) == ("account:unlinked", True, True)
        assert "UnlinkAccount" in said["changes"]
        assert Account.objects.get(pk=other.account_id).identity_id == other.identity_id
        assert run("unlink_account", *named, "--reason", "Namesake")["reason"] == "account:unlinked"
        said = run("link_account", str(other.account_id), "ada@acme.example", "--reason", "Asked her")
        assert (said["reason"], said["identity"]) == ("account:linked", str(one.identity_id))
        assert AuditRecord.objects.filter(reason="account:linked", actor_kind="command").exists()

    def test_a_refusal_ends_with_1(self, acme: House, run: Run) -> None:
        push(acme, user("ada@acme.example", "e1"))
        push(acme, user("bob@acme.example", "e2"))
        with pytest.raises(SystemExit) as ended:
            call_command(
                "link_account", "e1", "bob@acme.example", "--connection", "Main", "--reason", "x", "--json"
            )
        assert ended.value.code == 1

    @pytest.mark.parametrize(
        ("arguments", "says"),
        [
            pytest.param(["unlink_account", "o1", "--reason", "x"], "--connection", id="no connection"),
            pytest.param(
                ["unlink_account", "x9", "--connection", "Okta", "--reason", "x"],
                "No live account",
                id="no account",
            ),
            pytest.param(
                ["unlink_account", "o1", "--connection", "Okta", "--reason", ""], "say why", id="no reason"
            ),
            pytest.param(
                ["link_account", "o1", "nobody", "--connection", "Okta", "--reason", "x"],
                "Nobody answers",
                id="nobody",
            ),
        ],
    )
    def test_what_cannot_be_is_an_error(
        self, pair: tuple[Any, Any], fail: Run, arguments: list[str], says: str
    ) -> None:
        assert says in fail(*arguments)


class TestMerges:
    def test_two_are_looked_at_merged_found_by_either_id_and_taken_back(
        self, pair: tuple[Any, Any], run: Run, read: Callable[..., str]
    ) -> None:
        one, other = (str(outcome.identity_id) for outcome in pair)
        said = run("merge_identities", one, "adal@okta.example", "--dry-run")
        assert (said["reason"], said["moves"], said["held"]) == ("identity:merged", {"Accounts": 1}, False)
        assert not Merge.objects.exists()
        assert "identity:merged" in read("merge_identities", one, other, "--dry-run")
        assert run("merge_identities", one, other, "--reason", "One person")["accepted"] is True
        (shown,) = run("show_identity", other)["identities"]
        assert (shown["merged_into"], shown["enabled"]) == (one, False)
        (named,) = run("show_identity", "adal@okta.example")["identities"]
        assert named["id"] == one
        (shown,) = run("show_identity", one)["identities"]
        assert shown["ended_here"] == [other]
        assert one in read("show_identity", other)
        records = run("audit", "--identity", one)["records"]
        assert [row["reason"] for row in records] == [
            "account:created",
            "account:created",
            "identity:merged",
            "identity:merged-into",
        ]
        assert run("unmerge_identities", other, "--dry-run")["reason"] == "identity:unmerged"
        said = run("unmerge_identities", other, "--reason", "Two")
        assert (said["reason"], said["kept"]) == ("identity:unmerged", {})
        assert not Identity.objects.filter(merged_into__isnull=False).exists()

    def test_who_is_not_merged_is_an_error(self, pair: tuple[Any, Any], fail: Run) -> None:
        assert "has not ended" in fail("unmerge_identities", str(pair[0].identity_id), "--reason", "x")

    def test_two_tenants_are_never_one(self, acme: House, globex: House, run: Run) -> None:
        one, other = push(acme, user("ada@acme.example", "e1")), push(globex, user("eva@globex.example", "g"))
        with pytest.raises(SystemExit) as ended:
            call_command(
                "merge_identities", str(one.identity_id), str(other.identity_id), "--reason", "x", "--json"
            )
        assert ended.value.code == 1
        assert not Merge.objects.exists()
