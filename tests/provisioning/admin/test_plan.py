"""A run's plan: filtered, page by page, the most privileged first, with what would be before and after."""

import csv
import io
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from identity_hub.core.clock import now
from provisioning import reconciliation
from provisioning.decision.types import GroupObservation, HoldKind, Intent, Outcome
from provisioning.models import (
    Account,
    AssertedGroup,
    AuditRecord,
    Connection,
    DirectoryGroup,
    Entitlement,
    Identity,
    ReconciliationItem,
    ReconciliationRun,
    Roster,
    RosterRow,
)
from provisioning.selectors import plans
from provisioning.services import configuration, people
from provisioning.services.groups import submit_group

from ..cast import OPERATOR, House, push, sign_in, user
from ..reconciliation import listings
from .scene import Scene


def run_of(where: House, **fields: Any) -> ReconciliationRun:
    roster = Roster.objects.create(
        tenant=where.tenant,
        connection=where.connection,
        source="csv",
        status="complete",
        as_of=now(),
        requested_by="command:tests",
    )
    return ReconciliationRun.objects.create(
        **{
            "tenant": where.tenant,
            "connection": where.connection,
            "status": "simulated",
            "requested_by": "command:tests",
            "roster": roster,
        }
        | fields
    )


def item(run: ReconciliationRun, came: Outcome | None = None, **fields: Any) -> ReconciliationItem:
    about = {"account_id": came.account_id, "identity_id": came.identity_id} if came else {}
    if fields.get("status") == "undone":
        fields["undone_at"] = now()
    return ReconciliationItem.objects.create(
        **{
            "tenant_id": run.tenant_id,
            "run": run,
            "check_name": "waiting",
            "situation": "linked",
            "reason": "account:updated",
            "status": "planned",
        }
        | about
        | fields
    )


def row(run: ReconciliationRun, document: dict[str, Any], **fields: Any) -> RosterRow:
    return RosterRow.objects.create(
        **{
            "tenant_id": run.tenant_id,
            "roster_id": run.roster_id,
            "line": 1,
            "user_name": document["userName"],
            "user_name_key": document["userName"],
            "external_id": document.get("externalId"),
            "active": document.get("active", True),
            "fingerprint": b"",
            "document": document,
        }
        | fields
    )


def person(where: House, name: str, **more: Any) -> Outcome:
    return push(where, user(f"{name}@{where.domain}", f"{name}-1", displayName=name.title(), **more))


def put_into(where: House, name: str, *came: Outcome) -> DirectoryGroup:
    submit_group(
        GroupObservation(
            intent=Intent.CREATE,
            tenant_id=where.tenant.pk,
            connection_id=where.connection.pk,
            at=now(),
            actor=OPERATOR,
            display_name=name,
            add=tuple(one.account_id for one in came if one.account_id),
        )
    )
    return DirectoryGroup.objects.get(tenant=where.tenant, display_name=name)


def gives(where: House, group: DirectoryGroup | None, name: str, **fields: Any) -> Entitlement:
    entitlement = configuration.create_entitlement(
        tenant=where.tenant, name=name, actor=OPERATOR, reason="As agreed", **fields
    )
    if group is not None:
        configuration.map_entitlement(
            entitlement=entitlement, group=group, actor=OPERATOR, reason="As agreed"
        )
    return entitlement


def told(run: ReconciliationRun, one: ReconciliationItem) -> list[tuple[str, str, str]]:
    return [(side.what, side.before, side.after) for side in plans.sides(run, [one])[one.pk]]


def address(run: ReconciliationRun) -> str:
    return f"/admin/provisioning/reconciliationrun/{run.pk}/plan/"


class TestFilters:
    @pytest.fixture
    def run(self, acme: House) -> ReconciliationRun:
        run = run_of(acme)
        item(run, check_name="waiting", reason="account:linked")
        item(run, check_name="waiting", reason="account:linked", status="applied")
        item(run, check_name="unconfirmed", reason="account:expired", destructive=True)
        item(run, check_name="never-came", reason="account:never-signed-in", status="reported", situation="")
        return run

    @pytest.mark.parametrize(
        ("wanted", "number"),
        [
            pytest.param({}, 4, id="nothing asked is everything"),
            pytest.param({"check_name": "waiting"}, 2, id="by check"),
            pytest.param({"situation": "linked"}, 3, id="by situation"),
            pytest.param({"reason": "account:expired"}, 1, id="by reaction"),
            pytest.param({"status": "planned"}, 2, id="by status"),
            pytest.param({"destructive": "yes"}, 1, id="what takes access away"),
            pytest.param({"destructive": "no"}, 3, id="what does not"),
            pytest.param({"check_name": "waiting", "status": "applied"}, 1, id="two together"),
            pytest.param({"reason": "x" * 500}, 0, id="a reason that nobody knows"),
        ],
    )
    def test_a_plan_shows_what_is_asked_for(
        self, run: ReconciliationRun, wanted: dict[str, str], number: int
    ) -> None:
        assert plans.items(run, wanted).count() == number
        assert plans.facets(run, wanted).shown == number

    def test_a_choice_says_what_it_would_show(self, run: ReconciliationRun) -> None:
        found = plans.facets(run, {"check_name": "waiting"})
        assert found.total == 4
        assert found.numbers["status"] == {"planned": 1, "applied": 1}
        assert found.numbers["check_name"] == {"waiting": 2, "unconfirmed": 1, "never-came": 1}


def test_pages_lead_there_and_back(acme: House) -> None:
    run = run_of(acme)
    ids = [item(run).pk for _ in range(2 * plans.PAGE + 7)]
    other = run_of(acme)
    item(other)
    rows = plans.items(run, {})
    first = plans.page(rows)
    second = plans.page(rows, after=first.after)
    third = plans.page(rows, after=second.after)
    walked = [[one.pk for one in page.items] for page in (first, second, third)]
    assert [key for page in walked for key in page] == ids
    assert (first.before, third.after) == (None, None)
    back = plans.page(rows, before=third.before)
    assert [one.pk for one in back.items] == walked[1]
    assert [one.pk for one in plans.page(rows, before=back.before).items] == walked[0]
    assert plans.page(rows, before=back.before).before is None


class TestPrivilege:
    def test_who_administers_comes_first_then_entitlements_then_groups(self, acme: House) -> None:
        few, many, staff, none, local = (
            person(acme, name) for name in ("few", "many", "staff", "none", "local")
        )
        put_into(acme, "Everybody", few, many, staff)
        gives(acme, put_into(acme, "Managers", staff), "Administrator", grants_staff=True)
        for number in (1, 2):
            gives(acme, put_into(acme, f"Team {number}", many), f"Role {number}")
        gives(acme, put_into(acme, "Team 3", few), "Role 3")
        gives(acme, put_into(acme, "Team 4", none), "Role 4")
        Identity.objects.filter(pk=local.identity_id).update(is_tenant_administrator=True, local=True)
        run = run_of(acme)
        for came in (none, few, many, staff, local):
            item(run, came)
        found = plans.most_privileged(run)
        assert [one.identity_id for one in found] == [
            came.identity_id for came in (staff, local, many, few, none)
        ]
        assert [(one.staff, one.entitlements, one.groups) for one in found] == [
            (1, 1, 2),
            (1, 0, 0),
            (0, 2, 3),
            (0, 1, 2),
            (0, 1, 1),
        ]

    def test_a_group_that_a_login_brought_counts_as_it_does_elsewhere(self, acme: House) -> None:
        Connection.objects.filter(pk=acme.connection.pk).update(group_attribute="groups")
        came = sign_in(acme, "joe")
        entitlement = gives(acme, None, "Administrator", grants_staff=True)
        AssertedGroup.objects.create(
            tenant=acme.tenant, connection=acme.connection, value="admins", entitlement=entitlement
        )
        Account.objects.filter(pk=came.account_id).update(assertion={"groups": ["admins"]})
        run = run_of(acme)
        item(run, came)
        who = Identity.objects.get(pk=came.identity_id)
        for counts in (False, True):
            Connection.objects.filter(pk=acme.connection.pk).update(groups_unconfirmed=counts)
            assert [one.staff for one in plans.most_privileged(run)] == [int(counts)]
            assert Entitlement.objects.of_identity(who).exists() is counts

    def test_only_those_whom_the_plan_changes_and_only_the_first_twenty(self, acme: House) -> None:
        run = run_of(acme)
        item(run, person(acme, "reported"), status="reported")
        for number in range(plans.PRIVILEGED_SHOWN + 3):
            item(run, person(acme, f"p{number}"))
        assert len(plans.most_privileged(run)) == plans.PRIVILEGED_SHOWN
        reported = Account.objects.get(external_id="reported-1")
        assert reported.identity_id not in {one.identity_id for one in plans.most_privileged(run)}

    @pytest.mark.parametrize(
        ("status", "is_named"),
        [
            pytest.param("planned", True, id="whom the plan changes"),
            pytest.param("applied", True, id="whom the run has changed"),
            pytest.param("left-out", False, id="not who was left out"),
            pytest.param("refused", False, id="not who was refused"),
            pytest.param("unchanged", False, id="not who needed nothing any more"),
            pytest.param("undone", False, id="not of whom it was taken back"),
        ],
    )
    def test_of_those_it_names(self, acme: House, status: str, is_named: bool) -> None:
        run = run_of(acme)
        item(run, person(acme, "ada"), status=status)
        assert bool(plans.most_privileged(run)) is is_named


class TestBeforeAndAfter:
    def test_what_a_roster_changes(self, acme: House) -> None:
        came = person(acme, "ada", title="Engineer")
        run = run_of(acme)
        document = {
            "userName": "ada@acme.example",
            "title": "Director",
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {"department": "Research"},
            "active": False,
        }
        plan = [
            {
                "change": "UpdateAccount",
                "attributes": ["title", "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"],
                "fields": ["active"],
            },
            {"change": "UpdateIdentity", "identity_id": str(came.identity_id), "attributes": ["title"]},
        ]
        one = item(run, came, row_id=row(run, document, active=False).pk, plan=plan)
        assert told(run, one) == [
            ("title", "Engineer", "Director"),
            ("department", "", "Research"),
            ("active", "yes", "no"),
            ("shown title", "Engineer", "Director"),
        ]

    def test_somebody_new(self, acme: House) -> None:
        run = run_of(acme)
        document = {"userName": "new@acme.example", "externalId": "n-1", "displayName": "New"}
        plan = [
            {"change": "CreateAccount", "attributes": ["displayName"], "fields": ["user_name", "confirmed"]},
            {"change": "CreateIdentity", "attributes": ["display_name"]},
        ]
        one = item(run, row_id=row(run, document).pk, reason="account:created", plan=plan)
        assert told(run, one) == [
            ("displayName", "", "New"),
            ("userName", "", "new@acme.example"),
            ("confirmed", "", "yes"),
            ("Person", "unknown", "a new identity"),
        ]

    def test_somebody_new_has_the_name_that_the_roster_gives(self, acme: House) -> None:
        run = run_of(acme)
        document = {"userName": "new@acme.example", "name": {"givenName": "Nia", "familyName": "New"}}
        new = item(run, row_id=row(run, document).pk, reason="account:created")
        known = item(run, person(acme, "ada"), row_id=row(run, document).pk)
        assert plans.newcomers(run, [new, known]) == {new.pk: "Nia New, new@acme.example"}

    def test_who_loses_access(self, acme: House) -> None:
        came = person(acme, "ada")
        run = run_of(acme)
        plan = [
            {"change": "PlaceHold", "identity_id": str(came.identity_id), "kind": "expiry"},
            {"change": "EndSessions", "identity_id": str(came.identity_id)},
        ]
        one = item(run, came, plan=plan, destructive=True)
        assert told(run, one) == [
            (
                "May sign in",
                "yes",
                "no: The account came from a login and was never confirmed by the directory.",
            ),
            ("Sessions", "", "end"),
        ]

    @pytest.mark.parametrize(
        ("status", "takes", "before"),
        [
            pytest.param("planned", False, "held: {}", id="planned"),
            pytest.param("left-out", False, "held: {}", id="left out"),
            pytest.param("applied", False, "held already", id="executed, when the hold may be gone"),
            pytest.param("undone", False, "held already", id="taken back"),
            pytest.param("applied", True, "yes", id="executed upon somebody who was held by hand since"),
        ],
    )
    def test_of_somebody_held_it_says_so(self, acme: House, status: str, takes: bool, before: str) -> None:
        came = person(acme, "ada")
        people.place_hold(
            identity=Identity.objects.get(), kind=HoldKind.SECURITY, reason="Stolen", actor=OPERATOR
        )
        run = run_of(acme)
        plan = [{"change": "PlaceHold", "identity_id": str(came.identity_id), "kind": "scim"}]
        one = item(run, came, plan=plan, status=status, destructive=takes)
        assert told(run, one)[0][:2] == ("May sign in", before.format("security"))

    def test_nobody_new_could_sign_in_before(self, acme: House) -> None:
        run = run_of(acme)
        plan = [{"change": "CreateIdentity"}, {"change": "PlaceHold", "kind": "scim"}]
        assert ("May sign in", "", f"no: {plans.HOLD_KINDS['scim']}") in told(run, item(run, plan=plan))

    def test_a_link_and_a_group(self, acme: House) -> None:
        came = person(acme, "ada")
        group = put_into(acme, "Engineers", came)
        run = run_of(acme)
        plan = [
            {"change": "LinkAccount", "identity_id": str(came.identity_id)},
            {"change": "RemoveMember", "group_id": str(group.pk)},
        ]
        assert told(run, item(run, came, plan=plan)) == [
            ("Person", "nobody yet", "Ada"),
            ("Group Engineers", "member", "none"),
        ]

    def test_what_was_done_is_told_by_the_audit(self, ours: Scene) -> None:
        reconciliation.execute(ours.run)
        run = ReconciliationRun.objects.get(pk=ours.run.pk)
        done = ReconciliationItem.objects.filter(run=run, status="applied", reason="account:expired")[0]
        assert AuditRecord.objects.filter(pk=done.audit_id).exists()
        assert ("Sessions", "", "end") in told(run, done)
        changed = push(ours.where, user(f"new@{ours.where.domain}", "new-1", title="Engineer"))
        record = AuditRecord.objects.filter(account_id=changed.account_id).latest("id")
        plan = [{"change": "CreateAccount", "attributes": ["title"]}]
        one = item(run, changed, plan=plan, audit_id=record.pk, status="applied")
        Account.objects.filter(pk=changed.account_id).update(resource={"title": "Director"})
        assert told(run, one) == [("title", "", "Engineer")]

    def test_a_simulation_of_a_roster_before_and_after_it_is_executed(self, acme: House) -> None:
        came = push(acme, user("ada@acme.example", "ada-1"), at=now() - timedelta(days=2))
        listings.roster(
            acme,
            listings.line("ada@acme.example", "ada-1", given_name="Adele"),
            listings.line("new@acme.example", "new-1", given_name="Nell"),
        )
        run = reconciliation.simulate(acme.connection, OPERATOR, reason="As agreed")

        def of(reason: str) -> list[tuple[str, str, str]]:
            return told(run, ReconciliationItem.objects.get(run=run, reason=reason))

        foreseen = of("account:updated"), of("account:created")
        assert ("name givenName", "Ada", "Adele") in foreseen[0]
        assert ("shown given name", "Ada", "Adele") in foreseen[0]
        assert ("name givenName", "", "Nell") in foreseen[1]
        assert ("userName", "", "new@acme.example") in foreseen[1]
        reconciliation.execute(run)
        assert Account.objects.get(pk=came.account_id).resource["name"]["givenName"] == "Adele"
        RosterRow.objects.all().delete()
        assert ("name givenName", "Ada", "Adele") in of("account:updated"), "the audit tells it now"
        assert ("name givenName", "", "Nell") in of("account:created")

    def test_no_value_of_another_tenant(self, acme: House, globex: House) -> None:
        """An item that names a row, a group, a person or a record of another tenant shows nothing of it."""
        other = person(globex, "secret")
        group = put_into(globex, "Secret group", other)
        theirs = row(run_of(globex), {"userName": "secret@globex.example", "title": "Secret"})
        record = AuditRecord.objects.filter(account_id=other.account_id).latest("id")
        run = run_of(acme)
        plan = [
            {"change": "UpdateAccount", "attributes": ["title", "displayName"], "fields": ["user_name"]},
            {"change": "UpdateIdentity", "identity_id": str(other.identity_id), "attributes": ["title"]},
            {"change": "LinkAccount", "identity_id": str(other.identity_id)},
            {"change": "RemoveMember", "group_id": str(group.pk)},
        ]
        one = item(run, person(acme, "ada"), row_id=theirs.pk, audit_id=record.pk, plan=plan)
        assert "ecret" not in str(told(run, one))


class TestPage:
    def test_the_page_shows_the_plan_and_writes_nothing(self, admin: Client, ours: Scene) -> None:
        records = AuditRecord.objects.count()
        response = admin.get(address(ours.run))
        text = response.content.decode()
        assert response.status_code == 200
        assert "Look at these first" in text
        assert "no: The account came from a login" in text
        assert f"/admin/provisioning/finding/{ours.finding.pk}/change/" in text or "open finding" not in text
        assert AuditRecord.objects.count() == records
        filtered = admin.get(address(ours.run), {"destructive": "yes"}).content.decode()
        assert "Look at these first" not in filtered
        assert f"1 of {ReconciliationItem.objects.filter(run=ours.run).count()}" in filtered

    @pytest.mark.parametrize(
        "query",
        [
            "after=x",
            "after=99999999999999999999",
            "before=0",
            "status=nonsense",
            "destructive=maybe",
            "as=pdf",
        ],
    )
    def test_a_query_without_sense_is_no_error(self, admin: Client, ours: Scene, query: str) -> None:
        assert admin.get(f"{address(ours.run)}?{query}").status_code == 200

    def test_a_nul_is_a_bad_request(self, admin: Client, ours: Scene) -> None:
        assert admin.get(address(ours.run), {"reason": "a\x00b"}).status_code == 400

    def test_another_tenants_plan_is_not_there(self, admin: Client, theirs: Scene) -> None:
        for query in ("", "?as=csv"):
            assert admin.get(f"{address(theirs.run)}{query}").status_code == 404

    def test_the_plan_as_filtered_is_exported_and_runs_nothing(self, admin: Client, ours: Scene) -> None:
        one = ReconciliationItem.objects.filter(run=ours.run, account__isnull=False, destructive=True)[0]
        Account.objects.filter(pk=one.account_id).update(user_name="=1+1")
        answer = admin.get(address(ours.run), {"destructive": "yes", "as": "csv"})
        assert answer["Content-Disposition"].startswith('attachment; filename="plan-')
        text = b"".join(answer.streaming_content).decode()
        [exported] = csv.DictReader(io.StringIO(text))
        assert exported["user_name"] == "'=1+1"
        assert exported["item"] == str(one.pk)
        assert exported["changes"].startswith("PlaceHold")

    def test_how_far_it_is_and_what_looking_again_has_shown(
        self, admin: Client, acme: House, ours: Scene
    ) -> None:
        run = run_of(acme, status="executing", items_total=200, items_done=50)
        change = f"/admin/provisioning/reconciliationrun/{run.pk}/change/"
        for page in (address(run), change):
            text = admin.get(page).content.decode()
            assert '<progress max="200" value="50"' in text
            assert "50 of 200 items decided; reload" in text
        for remaining, says in ((0, "nothing is left to do"), (3, "3 items would still be done")):
            ReconciliationRun.objects.filter(pk=run.pk).update(
                status="done", verified_at=now(), remaining=remaining
            )
            for page in (address(run), change):
                assert says in admin.get(page).content.decode()
