"""Row 24, 26 and late matches; and what an administrator decides."""

from dataclasses import replace

import pytest

from provisioning.decision.types import (
    CloseFinding,
    CreateIdentity,
    EndSessions,
    HoldKind,
    Intent,
    LinkAccount,
    OpenFinding,
    PlaceHold,
    Rule,
    UpdateAccount,
    UpdateIdentity,
    Verdict,
)

from .world import OKTA, OPEN, World, answer, kinds, name


@pytest.fixture
def world() -> World:
    return World()


@pytest.mark.parametrize(
    ("source", "days", "held"),
    [(True, 14, False), (True, 15, True), (False, 15, False), (False, 90, False), (False, 91, True)],
)
def test_an_unconfirmed_account_is_held_after_its_grace_and_never_deleted(world, source, days, held):
    world.policy = replace(OPEN, has_lifecycle_source=source)
    first = world.login("ada", "p-1")
    world.later(days=days)
    decision = world.run(Intent.ABSENT, account_id=first.account_id)
    assert world.held(first.identity_id) == ({HoldKind.EXPIRY} if held else set())
    assert decision.verdict is (Verdict.APPLIED if held else Verdict.UNCHANGED)
    assert world.asked() == (["account:unconfirmed"] if held else [])
    assert first.account_id in world.accounts
    assert world.run(Intent.ABSENT, account_id=first.account_id).changes == ()


def test_nothing_ends_for_who_waits_for_an_approval(world):
    world.policy = replace(OPEN, jit_approval=True)
    first = world.login("ada", "p-1")
    world.later(days=60)
    assert world.run(Intent.ABSENT, account_id=first.account_id).verdict is Verdict.UNCHANGED
    assert world.held(first.identity_id) == {HoldKind.APPROVAL}
    assert answer(world.login("ada", "p-1")) == (Verdict.REFUSED, "login:approval-pending")


@pytest.mark.parametrize(("days", "held"), [(14, False), (15, True)], ids=["within it", "after it"])
def test_the_grace_of_who_was_there_before_begins_with_the_source(world, days, held):
    first = world.login("ada", "p-1")
    world.later(days=60)
    world.policy = replace(OPEN, source_since=world.at)
    world.later(days=days)
    world.run(Intent.ABSENT, account_id=first.account_id)
    assert world.held(first.identity_id) == ({HoldKind.EXPIRY} if held else set())


def test_a_recent_login_keeps_an_account_that_nothing_could_confirm(world):
    world.policy = replace(OPEN, has_lifecycle_source=False)
    first = world.login("ada", "p-1")
    world.later(days=80)
    world.login("ada", "p-1")
    world.later(days=80)
    assert world.run(Intent.ABSENT, account_id=first.account_id).verdict is Verdict.UNCHANGED


def test_an_account_missing_from_rosters_is_held_and_returns_by_its_key(world):
    first = world.post("ada", "key-1")
    assert world.run(Intent.ABSENT, account_id=first.account_id).changes == (), "no roster says so"
    missing = {"account_id": first.account_id, "as_of": world.at}
    decision = world.run(Intent.ABSENT, **missing)
    assert answer(decision) == (Verdict.APPLIED, "account:missing")
    assert kinds(decision) == {PlaceHold, EndSessions}
    assert world.run(Intent.ABSENT, **missing).changes == ()
    world.put(first.account_id, "ada", "key-1", active=True)
    assert world.holds == []


@pytest.mark.parametrize("active", [True, False])
def test_a_late_match_links_a_waiting_account_and_its_hold_with_it(world, active):
    first = world.post("ada", "key-1", hr_number="7")
    pending = world.post("ada", "okta-1", hr_number="7", active=active, connection_id=OKTA)
    said = {
        "account_id": pending.account_id,
        "connection_id": OKTA,
        "profile": replace(world.profiles[first.identity_id], email=""),
    }
    assert world.run(Intent.UPDATE, **said).verdict is Verdict.UNCHANGED
    world.policy = replace(OPEN, trusted_hr_number=True)
    decision = world.run(Intent.UPDATE, **said)
    assert answer(decision) == (Verdict.APPLIED, "account:linked")
    (link,) = (c for c in decision.changes if isinstance(c, LinkAccount))
    assert (link.identity_id, link.rule) == (first.identity_id, Rule.HR_NUMBER)
    assert world.held(first.identity_id) == (set() if active else {HoldKind.SCIM})
    assert world.run(Intent.UPDATE, **said).changes == ()


def test_a_run_ends_the_sessions_of_the_held_and_of_nobody_else(world):
    first = world.login("ada", "p-1")
    again = {"target_identity_id": first.identity_id}
    assert world.run(Intent.DISABLE, **again).reason == "identity:unchanged"
    world.holds.append((first.identity_id, HoldKind.ADMIN, None))
    decision = world.run(Intent.DISABLE, **again)
    assert answer(decision) == (Verdict.APPLIED, "identity:session-of-held")
    assert kinds(decision) == {EndSessions}
    assert world.run(Intent.DISABLE, **again).reason == "identity:unchanged"


@pytest.mark.parametrize("flag", ["protected", "kept_from_runs"])
def test_a_run_never_holds_who_is_protected(world, flag):
    known, unconfirmed = world.post("ada", "key-1"), world.login("bob", "p-1")
    getattr(world, flag).update({known.identity_id, unconfirmed.identity_id})
    world.later(days=30)
    # Rosters miss who is confirmed; the grace of who is not ends without any.
    for first, as_of in ((known, world.at), (unconfirmed, None)):
        decision = world.run(Intent.ABSENT, account_id=first.account_id, as_of=as_of)
        assert answer(decision) == (Verdict.UNCHANGED, "identity:spared")
        assert (decision.changes, decision.identity_id) == ((), first.identity_id)


@pytest.mark.parametrize(
    ("counted", "said"),
    [
        pytest.param(True, (Verdict.APPLIED, "account:missing"), id="whom the guard has counted a run holds"),
        pytest.param(False, (Verdict.REFUSED, "item:destructive-now"), id="and nobody else"),
    ],
)
def test_a_run_takes_access_only_from_whom_its_plan_counted(world, counted, said):
    first = world.post("ada", "key-1")
    decision = world.run(Intent.ABSENT, account_id=first.account_id, as_of=world.at, may_take_access=counted)
    assert answer(decision) == said
    assert bool(decision.changes) is counted


def test_an_administrator_holds_and_lifts_one_kind_whatever_its_source(world):
    first = world.post("ada", "key-1")
    world.put(first.account_id, "ada", "key-1", active=False)
    act = {"target_identity_id": first.identity_id}
    held = world.act(Intent.DISABLE, hold=HoldKind.ADMIN, reason="asked by HR", **act)
    assert answer(held) == (Verdict.APPLIED, "identity:held")
    assert (
        next(c for c in held.changes if isinstance(c, PlaceHold)).reason,
        world.act(Intent.DISABLE, hold=HoldKind.ADMIN, **act).reason,
    ) == ("asked by HR", "identity:unchanged")
    assert world.act(Intent.ENABLE, hold=HoldKind.SCIM, **act).reason == "identity:released"
    assert world.held(first.identity_id) == {HoldKind.ADMIN}
    assert world.act(Intent.ENABLE, hold=HoldKind.SCIM, **act).reason == "identity:unchanged"


@pytest.mark.parametrize(
    ("intent", "hold"),
    [
        (Intent.DISABLE, HoldKind.SCIM),
        (Intent.DISABLE, None),
        (Intent.ENABLE, HoldKind.MIGRATION),
        (Intent.ENABLE, HoldKind.OWNER),
        (Intent.ENABLE, None),
    ],
)
def test_a_hold_that_is_not_an_administrator_s_is_refused(world, intent, hold):
    first = world.post("ada", "key-1")
    decision = world.act(intent, target_identity_id=first.identity_id, hold=hold)
    assert answer(decision) == (Verdict.REFUSED, "identity:hold-refused")


@pytest.mark.parametrize("active", [True, False])
def test_an_administrator_links_a_waiting_account_and_closes_its_finding(world, active):
    first = world.post("ada", "key-1")
    pending = world.post("ada", "okta-1", active=active, connection_id=OKTA)
    said = {
        "account_id": pending.account_id,
        "target_identity_id": first.identity_id,
        "connection_id": OKTA,
    }
    decision = world.act(Intent.UPDATE, finding_id=name("finding"), **said)
    assert answer(decision) == (Verdict.APPLIED, "account:linked")
    (link,) = (c for c in decision.changes if isinstance(c, LinkAccount))
    assert link.rule is Rule.EXPLICIT
    assert CloseFinding(finding_id=name("finding"), approved=True) in decision.changes
    assert world.held(first.identity_id) == (set() if active else {HoldKind.SCIM})
    assert answer(world.act(Intent.UPDATE, **said)) == (Verdict.UNCHANGED, "account:unchanged")


def test_an_account_is_never_moved_from_one_identity_to_another_by_a_link(world):
    first = world.post("ada", "key-1")
    other = world.post("bob", "key-2")
    decision = world.act(Intent.UPDATE, account_id=first.account_id, target_identity_id=other.identity_id)
    assert answer(decision) == (Verdict.REFUSED, "account:already-linked")


def test_an_administrator_gives_a_waiting_account_a_person_of_its_own(world):
    first = world.post("ada", "key-1")
    pending = world.post("ada", "okta-1", active=False, connection_id=OKTA)
    said = {"account_id": pending.account_id, "connection_id": OKTA, "finding_id": name("finding")}
    decision = world.act(Intent.CREATE, **said)
    assert answer(decision) == (Verdict.APPLIED, "account:identity-created")
    assert kinds(decision) == {CreateIdentity, LinkAccount, PlaceHold, CloseFinding}
    assert CloseFinding(finding_id=name("finding"), approved=False) in decision.changes
    assert decision.identity_id != first.identity_id
    assert world.held(decision.identity_id) == {HoldKind.SCIM}
    assert world.held(first.identity_id) == set()


def test_a_suspect_is_released_when_the_account_turns_out_to_be_somebody_else_s(world):
    suspect = world.login("ada", "p-1")
    pending = world.post("ada.l", "key-1", email="ada@example.org")
    world.put(pending.account_id, "ada.l", "key-1", email="ada@example.org", active=False)
    assert world.held(suspect.identity_id) == {HoldKind.SCIM}
    own = world.act(Intent.CREATE, account_id=pending.account_id)
    assert world.held(suspect.identity_id) == set()
    assert world.held(own.identity_id) == {HoldKind.SCIM}


@pytest.mark.parametrize(("intent", "approved"), [(Intent.UPDATE, True), (Intent.CREATE, False)])
def test_a_finding_about_an_account_that_has_its_person_is_only_closed(world, intent, approved):
    first = world.post("ada", "key-1")
    decision = world.act(intent, account_id=first.account_id, finding_id=name("finding"))
    assert answer(decision) == (Verdict.APPLIED, "finding:closed")
    assert decision.changes == (CloseFinding(finding_id=name("finding"), approved=approved),)


@pytest.mark.parametrize("intent", [Intent.UPDATE, Intent.CREATE])
def test_acts_on_an_unknown_account_are_refused(world, intent):
    decision = world.act(intent, account_id=name("nobody"))
    assert answer(decision) == (Verdict.REFUSED, "account:unknown")


@pytest.mark.parametrize("intent", [Intent.ENABLE, Intent.DISABLE])
def test_acts_on_an_unknown_identity_are_refused(world, intent):
    decision = world.act(intent, target_identity_id=name("nobody"), hold=HoldKind.ADMIN)
    assert answer(decision) == (Verdict.REFUSED, "identity:unknown")


def test_only_a_change_of_the_shown_profile_is_written(world):
    first = world.post("ada", "key-1")
    assert not kinds(world.put(first.account_id, "ada", "key-1")) & {
        UpdateAccount,
        UpdateIdentity,
        OpenFinding,
    }
