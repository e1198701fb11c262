"""Each measure of the posture goes bad by the thing it measures, and good again when that is mended."""

import csv
import io
import json
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.test import Client
from time_machine import travel

from identity_hub.core.clock import now
from provisioning.decision.posture import Cover
from provisioning.decision.types import Actor, GroupObservation, HoldKind, Intent
from provisioning.models import (
    Account,
    AssertedGroup,
    AuditRecord,
    Connection,
    DirectoryGroup,
    Finding,
    Hold,
    Identity,
    Merge,
    OutboxMessage,
    ReconciliationRun,
    Roster,
    ScimToken,
    Session,
)
from provisioning.reconciliation import execute, simulate
from provisioning.selectors import posture
from provisioning.selectors.posture import Line
from provisioning.services import configuration, findings, merging, ownership, people, remedies, submit, undo
from provisioning.services.groups import submit_group
from provisioning.services.tokens import issue_token, revoke_token
from provisioning.tasks.delivery import drain

from .cast import OPERATOR, House, extend, house, push, pushed, session_of, sign_in, user

BOSS = Actor(kind="identity", id="00000000-0000-0000-0000-000000000001")
BAD, GOOD, CANNOT_SAY = Cover.NOT_COVERED, Cover.COVERED, Cover.CANNOT_SAY


def line(where: House, name: str, at: datetime | None = None) -> Line:
    return next(one for one in posture.posture(where.tenant.pk, at or now()) if one.measure.name == name)


def cover(where: House, name: str, at: datetime | None = None) -> Cover:
    return line(where, name, at).judged.cover


def settings(where: House, **fields: Any) -> None:
    Connection.objects.filter(pk=where.connection.pk).update(**fields)


def listed(where: House, *, days_ago: int = 0, status: str = "complete") -> Roster:
    return Roster.objects.create(
        tenant=where.tenant,
        connection=where.connection,
        source="csv",
        status=status,
        as_of=now() - timedelta(days=days_ago),
        requested_by="command:tests",
    )


def ran(where: House, status: str = "done", *, hours_ago: int = 1) -> ReconciliationRun:
    at = now() - timedelta(hours=hours_ago)
    return ReconciliationRun.objects.create(
        tenant=where.tenant,
        connection=where.connection,
        status=status,
        requested_by="schedule:",
        started_at=at,
        finished_at=at,
    )


def switch_off(where: House, name: str = "ada") -> Identity:
    """Somebody whom the directory delivered and switched off."""
    document = user(f"{name}@{where.domain}", f"{name}-1")
    came = push(where, document)
    submit(pushed(where, Intent.DISABLE, document | {"active": False}, account_id=came.account_id))
    return Identity.objects.get(pk=came.identity_id)


def pushed_group(where: House, intent: Intent, **said: Any) -> UUID:
    outcome = submit_group(
        GroupObservation(
            intent=intent,
            tenant_id=where.tenant.pk,
            connection_id=where.connection.pk,
            at=now(),
            actor=OPERATOR,
            **said,
        )
    )
    assert outcome.account_id is not None
    return outcome.account_id


def administrator(where: House) -> Identity:
    return configuration.create_local_identity(
        login_name="petra",
        password="correct horse battery",
        tenant=where.tenant,
        tenant_administrator=True,
        actor=OPERATOR,
        reason="As agreed",
    )


class TestSources:
    def test_jit_needs_a_path_for_leavers(self, acme: House) -> None:
        assert line(acme, "jit-lifecycle").figure.cases[0].name == "Main"
        assert cover(acme, "jit-lifecycle") is BAD, "a token alone says nothing: nobody has pushed"
        settings(acme, last_push_at=now())
        assert cover(acme, "jit-lifecycle") is GOOD
        revoke_token(
            token=ScimToken.objects.get(connection=acme.connection), actor=OPERATOR, reason="As agreed"
        )
        assert cover(acme, "jit-lifecycle") is BAD, "whoever pushed cannot push any more"
        listed(acme)
        assert cover(acme, "jit-lifecycle") is GOOD
        Roster.objects.all().delete()
        settings(acme, jit="existing")
        assert cover(acme, "jit-lifecycle") is GOOD

    def test_a_roster_is_complete_and_not_old(self, acme: House) -> None:
        assert cover(acme, "rosters") is BAD
        for status in ("loading", "refused", "superseded"):
            listed(acme, status=status)
        listed(acme, days_ago=36)
        assert cover(acme, "rosters") is BAD
        listed(acme, days_ago=34)
        assert cover(acme, "rosters") is GOOD
        settings(acme, status="disabled")
        assert cover(acme, "rosters") is CANNOT_SAY

    def test_a_connection_that_pushed_may_not_fall_silent(self, acme: House) -> None:
        assert cover(acme, "stale") is CANNOT_SAY
        settings(acme, last_push_at=now() - timedelta(days=8), stale_push_days=7)
        assert cover(acme, "stale") is BAD
        settings(acme, stale_push_days=9)
        assert cover(acme, "stale") is GOOD
        settings(acme, stale_push_days=0, last_push_at=now() - timedelta(days=31))
        assert cover(acme, "stale") is BAD, "never asked about, and silent all the same"
        settings(acme, last_push_at=now())
        assert cover(acme, "stale") is GOOD

    def test_a_run_is_finished_every_night(self, acme: House) -> None:
        assert cover(acme, "runs") is CANNOT_SAY
        settings(acme, created_at=now() - timedelta(days=3))
        ran(acme, "simulated")
        ran(acme, hours_ago=49)
        assert cover(acme, "runs") is BAD
        ran(acme)
        assert cover(acme, "runs") is GOOD

    def test_a_run_in_quarantine_waits_for_somebody(self, acme: House) -> None:
        assert cover(acme, "quarantine") is GOOD
        run = ran(acme, "quarantined")
        assert cover(acme, "quarantine") is BAD
        ReconciliationRun.objects.filter(pk=run.pk).update(status="rejected")
        assert cover(acme, "quarantine") is GOOD

    def test_a_kill_switch_is_named_while_it_is_on(self, acme: House) -> None:
        assert cover(acme, "switches") is GOOD
        settings(acme, stopped={"runs": {"since": "2026-01-01"}})
        found = line(acme, "switches")
        assert (found.judged.cover, found.figure.cases[0].name) == (BAD, "Main (runs)")
        settings(acme, stopped={})
        assert cover(acme, "switches") is GOOD

    def test_a_certificate_that_nobody_can_read_has_ended(self, acme: House) -> None:
        assert cover(acme, "certificates") is GOOD
        settings(acme, idp_metadata="<broken")
        assert cover(acme, "certificates") is BAD


class TestPeople:
    def test_somebody_vouches_for_everybody(self, acme: House) -> None:
        assert cover(acme, "unmanaged") is CANNOT_SAY
        push(acme, user(f"ada@{acme.domain}", "ada-1"))
        assert cover(acme, "unmanaged") is GOOD
        joe = sign_in(acme, "joe@acme.example", format="unspecified", email="joe@acme.example")
        found = line(acme, "unmanaged")
        assert (found.figure.number, found.figure.of, found.judged.cover) == (1, 2, BAD)
        push(acme, user("joe@acme.example", "joe-1"))
        assert cover(acme, "unmanaged") is GOOD, "the directory spoke of him"
        settings(acme, status="disabled")
        assert line(acme, "unmanaged").figure.number == 2, "a connection that is off vouches for nobody"
        for identity in Identity.objects.filter(tenant=acme.tenant):
            people.place_hold(identity=identity, kind=HoldKind.ADMIN, reason="Left", actor=OPERATOR)
        assert line(acme, "unmanaged").figure.number == 0
        assert joe.identity_id is not None

    def test_a_local_administrator_is_vouched_for_by_nobody_unless_the_glass_is_to_be_broken(
        self, acme: House
    ) -> None:
        local = configuration.create_local_identity(
            login_name="petra",
            password="correct horse battery",
            tenant=acme.tenant,
            actor=OPERATOR,
            reason="As agreed",
        )
        assert line(acme, "unmanaged").figure.parts == {"local identities": 1}
        Identity.objects.filter(pk=local.pk).update(break_glass=True)
        assert cover(acme, "unmanaged") is GOOD

    def test_unconfirmed_accounts_are_held_after_their_grace(self, acme: House) -> None:
        assert cover(acme, "unconfirmed") is GOOD
        sign_in(acme, "joe", at=now() - timedelta(days=13))
        assert cover(acme, "unconfirmed") is GOOD
        sign_in(acme, "sue", at=now() - timedelta(days=15))
        found = line(acme, "unconfirmed")
        assert (found.figure.number, found.figure.of, found.judged.cover) == (1, 2, BAD)
        settings(acme, scim_enabled=False)
        assert cover(acme, "unconfirmed") is GOOD, "without SCIM it is the login that counts"
        settings(acme, scim_enabled=True)
        account = Account.objects.get(subject_value="sue")
        people.place_hold(identity=account.identity, kind=HoldKind.ADMIN, reason="Late", actor=OPERATOR)
        assert cover(acme, "unconfirmed") is GOOD

    def test_nobody_is_late_whom_a_person_let_back_in(self, acme: House) -> None:
        sign_in(acme, "joe", at=now() - timedelta(days=30))
        sign_in(acme, "sue", at=now() - timedelta(days=30))
        assert line(acme, "unconfirmed").figure.number == 2
        execute(simulate(acme.connection, OPERATOR, reason="As agreed"))
        assert line(acme, "unconfirmed").figure.number == 0
        joe, sue = Finding.objects.filter(kind="account:unconfirmed").order_by("account__created_at", "pk")
        remedies.carry_out(finding=joe, name="release", reason="Known to us", actor=OPERATOR)
        assert Hold.objects.get().identity_id == sue.identity_id
        found = line(acme, "unconfirmed")
        assert (found.figure.number, found.figure.of, found.judged.cover) == (0, 2, GOOD)

    def test_nobody_is_late_whose_approval_was_given_a_moment_ago(self, acme: House) -> None:
        settings(acme, jit_approval=True)
        sign_in(acme, "eve", at=now() - timedelta(days=20))
        push(acme, user("bob@acme.example", "k2"), at=now() - timedelta(days=20))
        request = Finding.objects.get(kind="account:approval-requested")
        findings.decide(finding=request, approve=True, reason="known", actor=OPERATOR)
        assert cover(acme, "unconfirmed") is GOOD
        assert cover(acme, "unconfirmed", now() + timedelta(days=15)) is BAD

    def test_findings_are_decided_in_time(self, acme: House) -> None:
        assert cover(acme, "review") is GOOD
        push(acme, user("ada@acme.example", "ada-1"))
        sign_in(acme, "another", email="ada@acme.example")
        assert cover(acme, "review") is GOOD
        finding = Finding.objects.get(tenant=acme.tenant)
        Finding.objects.update(opened_at=now() - timedelta(days=61))
        found = line(acme, "review")
        assert (found.judged.cover, found.figure.parts["older"]) == (BAD, 1)
        findings.decide(finding=finding, approve=False, reason="Another", actor=OPERATOR)
        assert cover(acme, "review") is GOOD

    def test_acts_by_hand_are_counted_against_joiners(self, acme: House) -> None:
        came = [push(acme, user(f"p{number}@acme.example", f"p-{number}")) for number in range(9)]
        assert cover(acme, "interventions") is CANNOT_SAY
        came.append(push(acme, user("p9@acme.example", "p-9")))
        assert cover(acme, "interventions") is GOOD
        for number in (1, 2):
            who = Identity.objects.get(pk=came[number].identity_id)
            people.place_hold(identity=who, kind=HoldKind.ADMIN, reason="Asked", actor=BOSS)
        found = line(acme, "interventions")
        assert (found.judged.cover, found.judged.shown) == (BAD, "20 per 100")
        for number in range(10, 20):
            push(acme, user(f"p{number}@acme.example", f"p-{number}"))
        assert line(acme, "interventions").judged.shown == "10 per 100"
        assert cover(acme, "interventions", now() + timedelta(days=31)) is CANNOT_SAY, "only 30 days count"

    def test_a_merge_is_one_act_and_so_is_taking_it_back(self, acme: House) -> None:
        okta = extend(acme.tenant, "Okta")
        ours, theirs = (
            push(acme, user("ada@acme.example", "a")),
            push(okta, user("lovelace@okta.example", "o")),
        )
        winner, loser = (Identity.objects.get(pk=came.identity_id) for came in (ours, theirs))
        merging.merge(winner=winner, loser=loser, reason="One person", actor=BOSS)
        assert line(acme, "interventions").figure.parts == {"identity:merged": 1}
        merging.unmerge(merge=Merge.objects.get(), reason="Two people", actor=BOSS)
        assert line(acme, "interventions").figure.parts == {"identity:merged": 1, "identity:unmerged": 1}

    def test_a_finding_s_remedy_is_one_act(self, acme: House) -> None:
        sign_in(acme, "joe", at=now() - timedelta(days=30))
        execute(simulate(acme.connection, OPERATOR, reason="As agreed"))
        remedies.carry_out(finding=Finding.objects.get(), name="release", reason="Known to us", actor=BOSS)
        assert not Hold.objects.exists()
        assert line(acme, "interventions").figure.parts == {"identity:released": 1}

    def test_taking_a_run_back_is_one_act_however_many_it_held(self, acme: House) -> None:
        for number in range(3):
            sign_in(acme, f"joe-{number}", at=now() - timedelta(days=30))
        run = execute(simulate(acme.connection, OPERATOR, reason="As agreed"))
        [first, *_] = undo.items_of(run)
        for chosen in ([first.pk], None):
            undo.order(run, actor=BOSS, reason="Known to us", items=chosen)
            undo.carry_out(run)
        assert not Hold.objects.exists()
        assert line(acme, "interventions").figure.parts == {"run:undo-ordered": 1}


class TestCredentials:
    def test_a_token_has_an_owner_who_is_still_there(self, acme: House) -> None:
        assert cover(acme, "owners") is BAD, "made by command"
        revoke_token(
            token=ScimToken.objects.get(connection=acme.connection), actor=OPERATOR, reason="As agreed"
        )
        assert cover(acme, "owners") is GOOD
        boss = configuration.create_local_identity(
            login_name="petra",
            password="correct horse battery",
            tenant=acme.tenant,
            actor=OPERATOR,
            reason="As agreed",
        )
        issue_token(
            connection=acme.connection, actor=Actor(kind="identity", id=str(boss.pk)), reason="As agreed"
        )
        assert cover(acme, "owners") is GOOD
        people.place_hold(identity=boss, kind=HoldKind.ADMIN, reason="Left", actor=OPERATOR)
        assert cover(acme, "owners") is BAD

    def test_a_token_that_ends_has_a_successor_in_use(self, acme: House) -> None:
        old = ScimToken.objects.get(connection=acme.connection)
        ScimToken.objects.update(expires_at=now() + timedelta(days=60))
        assert cover(acme, "tokens") is GOOD
        ScimToken.objects.update(expires_at=now() + timedelta(days=29))
        assert cover(acme, "tokens") is BAD
        new, _ = issue_token(connection=acme.connection, actor=OPERATOR, reason="As agreed")
        ScimToken.objects.filter(pk=new.pk).update(replaces=old)
        assert cover(acme, "tokens") is BAD, "nobody uses it yet"
        ScimToken.objects.filter(pk=new.pk).update(last_used_at=now())
        assert cover(acme, "tokens") is GOOD


class TestRevocation:
    def test_who_was_switched_off_has_nothing_left(self, acme: House) -> None:
        assert cover(acme, "revocation") is CANNOT_SAY
        ada = switch_off(acme)
        drain()
        found = line(acme, "revocation")
        [one] = found.figure.revocations
        assert (one.identity_id, one.proven, found.judged.cover) == (ada.pk, True, GOOD)
        assert one.seconds is not None
        assert 0 <= one.seconds < 60

    def test_a_session_that_is_left(self, acme: House) -> None:
        ada = switch_off(acme)
        drain()
        session = session_of(ada)
        assert cover(acme, "revocation") is BAD
        Session.objects.filter(pk=session.pk).delete()
        assert cover(acme, "revocation") is GOOD

    def test_a_worker_that_was_down_for_an_hour(self, acme: House) -> None:
        switch_off(acme)
        drain()
        OutboxMessage.objects.filter(topic="sessions.purge").update(done_at=now() + timedelta(hours=1))
        found = line(acme, "revocation")
        assert (found.judged.cover, found.judged.shown) == (BAD, "60 min")
        OutboxMessage.objects.all().delete()
        assert cover(acme, "revocation") is CANNOT_SAY, "gone, and nobody kept when"

    def test_a_credential_that_is_left(self, acme: House) -> None:
        ada = switch_off(acme)
        drain()
        ScimToken.objects.filter(connection=acme.connection).update(owner=ada)
        assert cover(acme, "revocation") is BAD
        revoke_token(
            token=ScimToken.objects.get(connection=acme.connection), actor=OPERATOR, reason="As agreed"
        )
        assert cover(acme, "revocation") is GOOD

    @pytest.mark.parametrize(
        ("ends", "revoked", "days"),
        [
            pytest.param(4, None, 4, id="a token that nobody revoked is gone at its end"),
            pytest.param(4, 6, 4, id="a token that had ended is not kept by being revoked"),
            pytest.param(6, 2, 2, id="a token is gone as soon as it is revoked"),
            pytest.param(-1, None, 0, id="a token that had ended before was no access"),
        ],
    )
    def test_a_token_is_gone_at_its_end(self, acme: House, ends: int, revoked: int | None, days: int) -> None:
        off = now() - timedelta(days=10)
        with travel(off, tick=False):
            ada = switch_off(acme)
            drain()
        ScimToken.objects.filter(connection=acme.connection).update(
            owner=ada,
            expires_at=off + timedelta(days=ends),
            revoked_at=None if revoked is None else off + timedelta(days=revoked),
        )
        [one] = line(acme, "revocation").figure.revocations
        assert (one.credentials.proven, one.credentials.seconds) == (True, days * 86400)
        assert cover(acme, "revocation") is (BAD if days else GOOD)

    @pytest.mark.parametrize(
        ("ends", "days"),
        [
            pytest.param(None, 5, id="a token is gone when somebody else answers for it"),
            pytest.param(3, 3, id="a token that had ended went to nobody else"),
        ],
    )
    def test_a_token_that_changed_hands(self, acme: House, ends: int | None, days: int) -> None:
        off = now() - timedelta(days=10)
        with travel(off, tick=False):
            ada, bob = switch_off(acme), switch_off(acme, "bob")
            drain()
        petra = administrator(acme)
        token = ScimToken.objects.get(connection=acme.connection)
        token.owner, token.expires_at = ada, None if ends is None else off + timedelta(days=ends)
        token.save()
        assert cover(acme, "revocation", off + timedelta(days=2)) is BAD
        with travel(off + timedelta(days=5), tick=False):
            ownership.take_over(row=token, actor=Actor(kind="identity", id=str(petra.pk)), reason="She left")
        took = {
            one.identity_id: one.credentials.seconds for one in line(acme, "revocation").figure.revocations
        }
        assert took == {ada.pk: days * 86400, bob.pk: 0}
        assert cover(acme, "revocation") is BAD, "proven, and days are too long"

    def test_an_entitlement_that_is_left_opens_no_door_and_is_told(self, acme: House, client: Client) -> None:
        ada = switch_off(acme)
        drain()
        other = push(acme, user("ada.other@acme.example", "ada-2"))
        submit_group(
            GroupObservation(
                intent=Intent.CREATE,
                tenant_id=acme.tenant.pk,
                connection_id=acme.connection.pk,
                at=now(),
                actor=OPERATOR,
                display_name="Managers",
                add=(other.account_id,),
            )
        )
        entitlement = configuration.create_entitlement(
            tenant=acme.tenant, name="Manager", grants_staff=True, actor=OPERATOR, reason="As agreed"
        )
        configuration.map_entitlement(
            entitlement=entitlement, group=DirectoryGroup.objects.get(), actor=OPERATOR, reason="As agreed"
        )
        assert cover(acme, "revocation") is GOOD
        Account.objects.filter(pk=other.account_id).update(identity=ada)
        # An account that stays active in its groups, as row 26 leaves it.
        assert (Identity.objects.get(pk=ada.pk).is_staff, ada.is_active) == (True, False)
        assert cover(acme, "revocation") is BAD
        [one] = line(acme, "revocation").figure.revocations
        assert [check.proven for check in one.checks] == [True, True, False]

        def doors() -> list[int]:
            client.force_login(Identity.objects.get(pk=ada.pk))
            return [client.get(path).status_code for path in ("/admin/", "/api/v1/identities")]

        assert doors() == [302, 401]
        hold = Hold.objects.get(identity=ada)
        Hold.objects.filter(identity=ada).delete()
        assert doors() == [200, 200]
        hold.save(force_insert=True)
        Session.objects.all().delete()
        submit_group(
            GroupObservation(
                intent=Intent.UPDATE,
                tenant_id=acme.tenant.pk,
                connection_id=acme.connection.pk,
                at=now() + timedelta(hours=1),
                actor=OPERATOR,
                group_id=DirectoryGroup.objects.get().pk,
                remove=(other.account_id,),
            )
        )
        [one] = line(acme, "revocation", now() + timedelta(hours=2)).figure.revocations
        assert one.entitlements.proven
        assert one.entitlements.seconds == pytest.approx(3600, abs=60)
        assert cover(acme, "revocation") is BAD, "proven, and an hour is too long"

    @pytest.mark.parametrize(
        ("happens", "days"),
        [
            pytest.param([(5, "unmap")], 5, id="the mapping went"),
            pytest.param([(3, "leave"), (5, "unmap")], 3, id="the person left before the mapping went"),
            pytest.param([(3, "unmap"), (5, "leave")], 3, id="the mapping went before the person left"),
            pytest.param([(4, "close")], 4, id="the other directory closed its account"),
            pytest.param(
                [(4, "close"), (6, "unmap")], 4, id="the account was closed before the mapping went"
            ),
            pytest.param([(4, "close"), (6, "leave")], 4, id="the account was closed before it left"),
        ],
    )
    def test_an_entitlement_is_gone_when_its_group_gives_it_no_longer(
        self, acme: House, happens: list[tuple[int, str]], days: int
    ) -> None:
        off = now() - timedelta(days=10)
        okta = extend(acme.tenant, "Okta")
        person = user("ada@okta.example", "o-1")
        with travel(off - timedelta(days=1), tick=False):
            theirs = push(okta, person)
            group = pushed_group(okta, Intent.CREATE, display_name="Managers", add=(theirs.account_id,))
            entitlement = configuration.create_entitlement(
                tenant=acme.tenant, name="Manager", actor=OPERATOR, reason="As agreed"
            )
            mapping = configuration.map_entitlement(
                entitlement=entitlement,
                group=DirectoryGroup.objects.get(pk=group),
                actor=OPERATOR,
                reason="As agreed",
            )
        with travel(off, tick=False):
            ada, bob = switch_off(acme), switch_off(acme, "bob")
            Account.objects.filter(pk=theirs.account_id).update(identity=ada)
            drain()
        assert cover(acme, "revocation", off + timedelta(hours=1)) is BAD
        for day, what in happens:
            with travel(off + timedelta(days=day), tick=False):
                match what:
                    case "unmap":
                        configuration.unmap_entitlement(mapping=mapping, actor=OPERATOR, reason="As agreed")
                    case "leave":
                        pushed_group(okta, Intent.UPDATE, group_id=group, remove=(theirs.account_id,))
                    case "close":
                        closed = person | {"active": False}
                        submit(pushed(okta, Intent.DISABLE, closed, account_id=theirs.account_id))
        found = line(acme, "revocation").figure.revocations
        assert {one.identity_id: one.entitlements.seconds for one in found} == {
            ada.pk: days * 86400,
            bob.pk: 0,
        }

    def test_a_group_that_gives_something_else_still_is_not_gone(self, acme: House) -> None:
        off = now() - timedelta(days=10)
        okta = extend(acme.tenant, "Okta")
        with travel(off, tick=False):
            theirs = push(okta, user("ada@okta.example", "o-1"))
            group = pushed_group(okta, Intent.CREATE, display_name="Managers", add=(theirs.account_id,))
            mappings = [
                configuration.map_entitlement(
                    entitlement=configuration.create_entitlement(
                        tenant=acme.tenant, name=name, actor=OPERATOR, reason="As agreed"
                    ),
                    group=DirectoryGroup.objects.get(pk=group),
                    actor=OPERATOR,
                    reason="As agreed",
                )
                for name in ("Manager", "Reader")
            ]
            Account.objects.filter(pk=theirs.account_id).update(identity=switch_off(acme))
        for day, mapping in zip((2, 4), mappings, strict=True):
            [one] = line(acme, "revocation").figure.revocations
            assert not one.entitlements.proven
            with travel(off + timedelta(days=day), tick=False):
                configuration.unmap_entitlement(mapping=mapping, actor=OPERATOR, reason="As agreed")
        [one] = line(acme, "revocation").figure.revocations
        assert one.entitlements.seconds == 4 * 86400

    def test_whom_a_login_still_brings_a_group(self, acme: House) -> None:
        settings(acme, group_attribute="groups")
        ada = switch_off(acme)
        entitlement = configuration.create_entitlement(
            tenant=acme.tenant, name="Manager", actor=OPERATOR, reason="As agreed"
        )
        AssertedGroup.objects.create(
            tenant=acme.tenant, connection=acme.connection, value="managers", entitlement=entitlement
        )
        drain()
        assert cover(acme, "revocation") is GOOD
        Account.objects.filter(identity=ada).update(active=True, assertion={"groups": ["managers"]})
        assert cover(acme, "revocation") is BAD

    @pytest.mark.parametrize("kind", [HoldKind.ADMIN, HoldKind.SECURITY])
    def test_whom_an_administrator_holds_is_looked_at_too(self, acme: House, kind: HoldKind) -> None:
        ada = Identity.objects.get(pk=push(acme, user("ada@acme.example", "ada-1")).identity_id)
        session_of(ada)
        people.place_hold(identity=ada, kind=kind, reason="As agreed", actor=OPERATOR)
        assert cover(acme, "revocation") is BAD
        drain()
        assert cover(acme, "revocation") is GOOD
        people.lift_hold(identity=ada, kind=kind, reason="As agreed", actor=OPERATOR)
        assert cover(acme, "revocation") is CANNOT_SAY

    def test_a_delete_after_days_starts_no_new_clock(self, acme: House) -> None:
        off = now() - timedelta(days=12)
        with travel(off, tick=False):
            ada = switch_off(acme)
            ScimToken.objects.filter(connection=acme.connection).update(owner=ada)
        with travel(off + timedelta(days=6), tick=False):
            drain()
            revoke_token(
                token=ScimToken.objects.get(connection=acme.connection), actor=OPERATOR, reason="As agreed"
            )
        with travel(off + timedelta(days=7), tick=False):
            submit(pushed(acme, Intent.DELETE, account_id=Account.objects.get(identity=ada).pk))
            drain()
        [one] = line(acme, "revocation").figure.revocations
        assert one.at == off
        assert [one.sessions.seconds, one.credentials.seconds] == [6 * 86400, 6 * 86400]
        OutboxMessage.objects.filter(created_at=off).delete()
        [one] = line(acme, "revocation").figure.revocations
        assert one.sessions.proven
        assert one.sessions.seconds is None, "what the DELETE ordered says nothing about the first time"

    def test_who_was_back_in_between_is_looked_at_from_the_second_time_on(self, acme: House) -> None:
        off = now() - timedelta(days=12)
        with travel(off, tick=False):
            ada = switch_off(acme)
        account = Account.objects.get(identity=ada)
        person = user(account.user_name, "ada-1")
        with travel(off + timedelta(days=2), tick=False):
            submit(pushed(acme, Intent.ENABLE, person, account_id=account.pk))
        with travel(off + timedelta(days=5), tick=False):
            submit(pushed(acme, Intent.DISABLE, person | {"active": False}, account_id=account.pk))
        [one] = line(acme, "revocation").figure.revocations
        assert one.at == off + timedelta(days=5)

    def test_a_hold_that_another_one_overtook_began_it(self, acme: House) -> None:
        off = now() - timedelta(days=12)
        with travel(off, tick=False):
            came = push(acme, user("ada@acme.example", "ada-1"))
            ada = Identity.objects.get(pk=came.identity_id)
            people.place_hold(identity=ada, kind=HoldKind.ADMIN, reason="Leaves", actor=BOSS)
        with travel(off + timedelta(days=2), tick=False):
            gone = user("ada@acme.example", "ada-1") | {"active": False}
            submit(pushed(acme, Intent.DISABLE, gone, account_id=came.account_id))
        with travel(off + timedelta(days=3), tick=False):
            people.lift_hold(identity=ada, kind=HoldKind.ADMIN, reason="Left", actor=BOSS)
        [one] = line(acme, "revocation").figure.revocations
        assert (one.identity_id, one.at) == (ada.pk, off)

    def test_who_was_let_back_in_is_no_case_any_more(self, acme: House) -> None:
        ada = switch_off(acme)
        session_of(ada)
        assert cover(acme, "revocation") is BAD
        account = Account.objects.get(identity=ada)
        submit(pushed(acme, Intent.ENABLE, user(account.user_name, "ada-1"), account_id=account.pk))
        assert cover(acme, "revocation") is CANNOT_SAY

    def test_only_the_last_month_counts(self, acme: House) -> None:
        switch_off(acme)
        assert cover(acme, "revocation", now() + timedelta(days=31)) is CANNOT_SAY


def test_another_tenant_changes_nothing(acme: House, globex: House) -> None:
    def told() -> list[tuple[str, int, int]]:
        lines = posture.posture(acme.tenant.pk, now())
        return [(one.measure.name, one.figure.number, one.figure.of) for one in lines]

    push(acme, user("ada@acme.example", "ada-1"))
    before = told()
    session_of(switch_off(globex))
    for number in range(12):
        sign_in(globex, f"joe-{number}", at=now() - timedelta(days=40))
    ran(globex, "quarantined")
    listed(globex)
    settings(globex, stopped={"runs": {}})
    extra = house("hooli", status="active")
    push(extra, user("ada@acme.example", "ada-1"))
    assert told() == before


def test_every_question_has_its_own_name_and_remedy() -> None:
    names = [measure.name for measure in posture.MEASURES]
    assert len(set(names)) == len(names)
    for measure in posture.MEASURES:
        assert measure.question.endswith("?"), measure.name
        assert measure.remedy.endswith("."), measure.name


class TestCommand:
    def test_it_says_the_same_and_ends_with_1_while_something_is_open(
        self, acme: House, capsys: pytest.CaptureFixture[str]
    ) -> None:
        from django.core.management import call_command  # noqa: PLC0415

        with pytest.raises(SystemExit) as ended:
            call_command("posture", "--tenant", "acme", "--json")
        assert ended.value.code == 1
        said = json.loads(capsys.readouterr().out)
        assert said["not_covered"] == sum(one["verdict"] == "not-covered" for one in said["measures"])
        assert {one["measure"] for one in said["measures"]} == {one.name for one in posture.MEASURES}
        with pytest.raises(SystemExit):
            call_command("posture", "--tenant", "acme")
        assert "NOT COVERED" in capsys.readouterr().out


class TestPage:
    @pytest.fixture
    def admin(self, acme: House) -> Client:
        client = Client()
        client.force_login(administrator(acme))
        return client

    def test_the_page_shows_ones_own_and_writes_nothing(self, admin: Client, acme: House) -> None:
        ada = switch_off(acme)
        session_of(ada)
        records = AuditRecord.objects.count()
        response = admin.get("/admin/posture/", follow=True)
        assert response.redirect_chain == [(f"/admin/provisioning/tenant/{acme.tenant.pk}/posture/", 302)]
        page = response.content.decode()
        assert "Time from deactivation to proven revocation" in page
        assert "still there" in page
        assert f"/admin/provisioning/identity/{ada.pk}/change/" in page
        assert AuditRecord.objects.count() == records

    def test_the_menu_shows_where_one_is(self, admin: Client, acme: House) -> None:
        def shown(address: str) -> list[str]:
            groups = admin.get(address, follow=True).context["sidebar_navigation"]
            return [str(item["title"]) for group in groups for item in group["items"] if item["active"]]

        assert shown("/admin/posture/") == ["Posture"]
        assert shown(f"/admin/provisioning/tenant/{acme.tenant.pk}/change/") == ["Tenants"]

    def test_another_tenants_posture_is_not_there(self, admin: Client, globex: House) -> None:
        for question in ("", "?as=csv", "?as=json"):
            address = f"/admin/provisioning/tenant/{globex.tenant.pk}/posture/{question}"
            assert admin.get(address).status_code == 404

    def test_it_can_be_taken_along(self, admin: Client, acme: House) -> None:
        settings(acme, name='=cmd|" /C calc"!A0')
        address = f"/admin/provisioning/tenant/{acme.tenant.pk}/posture/"
        answer = admin.get(address, {"as": "csv"})
        assert answer["Content-Disposition"] == 'attachment; filename="posture-acme.csv"'
        rows = list(csv.DictReader(io.StringIO(b"".join(answer.streaming_content).decode())))
        assert {row["measure"] for row in rows} == {measure.name for measure in posture.MEASURES}
        document = admin.get(address, {"as": "json"}).json()
        assert document["measures"][0]["verdict"] == "not-covered"

    def test_an_operator_of_the_installation_chooses_a_tenant(self, acme: House) -> None:
        root = configuration.create_local_identity(
            login_name="root",
            password="correct horse battery",
            superuser=True,
            actor=OPERATOR,
            reason="As agreed",
        )
        client = Client()
        client.force_login(root)
        page = client.get("/admin/posture/", follow=True).content.decode()
        assert f"/admin/provisioning/tenant/{acme.tenant.pk}/posture/" in page
