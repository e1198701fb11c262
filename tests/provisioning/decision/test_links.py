"""What an administrator says about links: link, unlink, relink, and the duplicates of one connection."""

from dataclasses import replace
from uuid import UUID

import pytest

from provisioning.decision.situations import OF_ACCOUNTS
from provisioning.decision.types import (
    AddAlias,
    DeleteAccount,
    EndSessions,
    HoldKind,
    Intent,
    KeepApart,
    LiftHold,
    LinkAccount,
    MoveHold,
    Rule,
    UnlinkAccount,
    UpdateAccount,
    UpdateIdentity,
    Verdict,
)

from .world import ENTRA, OKTA, OPEN, World, answer, kinds, name


@pytest.fixture
def world() -> World:
    return World()


def unlink(world, account_id, **said):
    account = world.accounts.get(account_id)
    said.setdefault("connection_id", account.connection_id if account else ENTRA)
    return world.act(Intent.UNLINK, account_id=account_id, **said)


def link(world, account_id, identity_id, **said):
    account = world.accounts[account_id]
    said.setdefault("former_identity_id", account.identity_id)
    return world.act(
        Intent.UPDATE,
        account_id=account_id,
        target_identity_id=identity_id,
        connection_id=account.connection_id,
        **said,
    )


def two_sources(world) -> tuple[UUID, UUID, UUID]:
    """(identity, its account at Entra, its account at Okta)."""
    first = world.post("ada", "key-1")
    second = world.post("ada", "okta-1", connection_id=OKTA)
    link(world, second.account_id, first.identity_id)
    return first.identity_id, first.account_id, second.account_id


def test_an_account_that_is_taken_off_waits_and_the_sessions_of_its_identity_end(world):
    identity, _, okta = two_sources(world)
    world.sessions.add(identity)
    decision = unlink(world, okta)
    assert answer(decision) == (Verdict.APPLIED, "account:unlinked")
    assert kinds(decision) == {UnlinkAccount, KeepApart, EndSessions}
    assert world.accounts[okta].identity_id is None
    assert identity not in world.sessions
    assert answer(unlink(world, okta)) == (Verdict.UNCHANGED, "account:unchanged")


def test_an_identity_that_loses_its_last_account_is_not_enabled_and_keeps_its_last_profile(world):
    first = world.post("ada", "key-1")
    assert kinds(unlink(world, first.account_id)) == {UnlinkAccount, KeepApart, EndSessions}
    assert not world.identity(first.identity_id).enabled
    assert world.profiles[first.identity_id].user_name == "ada"
    assert world.login("ada", format="unspecified").reason == "login:link-pending"


def test_an_identity_shows_what_is_left_of_it(world):
    first = world.post("ada", "key-1")
    other = world.post("adal", "okta-1", email="ada@example.org", given_name="Ada", connection_id=OKTA)
    link(world, other.account_id, first.identity_id)
    assert world.profiles[first.identity_id].given_name == "Ada"
    assert UpdateIdentity in kinds(unlink(world, other.account_id))
    assert world.profiles[first.identity_id].given_name == ""


@pytest.mark.parametrize("trusted", ["trusted_hr_number", "trusted_email"])
def test_no_rule_links_again_what_a_person_took_off(world, trusted):
    world.policy = replace(OPEN, **{trusted: True})
    first = world.post("ada", "key-1", hr_number="7")
    other = world.post("ada", "okta-1", hr_number="7", connection_id=OKTA)
    assert other.identity_id == first.identity_id
    unlink(world, other.account_id)
    profile = replace(world.profiles[first.identity_id])
    again = world.run(Intent.UPDATE, account_id=other.account_id, connection_id=OKTA, profile=profile)
    assert answer(again) == (Verdict.UNCHANGED, "account:unchanged")
    # Nor is she a suspect any more when the account is switched off.
    world.put(other.account_id, "ada", "okta-1", active=False, connection_id=OKTA)
    assert world.held(first.identity_id) == set()
    assert link(world, other.account_id, first.identity_id).reason == "account:linked"


HELD = [
    pytest.param("inactive", HoldKind.SCIM, id="an inactive account"),
    pytest.param("missing", HoldKind.SCIM, id="an account that rosters miss"),
    pytest.param("expired", HoldKind.EXPIRY, id="a login's account that was never confirmed"),
]


def holding(world, how: str) -> tuple[UUID, UUID]:
    """(identity, the account that holds it)."""
    if how == "expired":
        first = world.login("ada", "p-1")
        world.later(days=20)
        world.run(Intent.ABSENT, account_id=first.account_id)
    else:
        first = world.post("ada", "key-1")
        if how == "inactive":
            world.put(first.account_id, "ada", "key-1", active=False)
        else:
            world.run(Intent.ABSENT, account_id=first.account_id, as_of=world.at)
    assert world.held(first.identity_id)
    return first.identity_id, first.account_id


@pytest.mark.parametrize(("how", "kind"), HELD)
def test_a_hold_goes_to_the_other_identity_with_its_account(world, how, kind):
    former, account = holding(world, how)
    other = world.post("bob", "okta-9", connection_id=OKTA)
    decision = link(world, account, other.identity_id)
    assert answer(decision) == (Verdict.APPLIED, "account:relinked")
    assert (
        MoveHold(
            identity_id=other.identity_id,
            former_identity_id=former,
            kind=kind,
            source_account_id=account,
        )
        in decision.changes
    )
    assert world.holds == [(other.identity_id, kind, account)]
    assert {c.identity_id for c in decision.changes if isinstance(c, EndSessions)} == {
        former,
        other.identity_id,
    }


@pytest.mark.parametrize(("how", "kind"), HELD)
@pytest.mark.parametrize("own", [True, False], ids=["an identity of its own", "somebody else"])
def test_a_hold_waits_with_its_account_and_rests_on_whom_it_is_linked_to(world, how, kind, own):
    former, account = holding(world, how)
    decision = unlink(world, account)
    assert {type(c) for c in decision.changes} >= {LiftHold, KeepApart}
    assert world.holds == []
    if own:
        after = world.act(Intent.CREATE, account_id=account)
    else:
        other = world.post("bob", "okta-9", connection_id=OKTA)
        after = link(world, account, other.identity_id)
    assert after.identity_id != former
    assert world.holds == [(after.identity_id, kind, account)]


def test_an_account_that_is_switched_on_while_it_waits_holds_nobody(world):
    former, account = holding(world, "inactive")
    unlink(world, account)
    world.put(account, "ada", "key-1", active=True)
    other = world.post("bob", "okta-9", connection_id=OKTA)
    link(world, account, other.identity_id)
    assert world.holds == []
    assert not world.identity(former).enabled


def test_what_others_hold_stays_where_it_is(world):
    identity, entra, okta = two_sources(world)
    world.put(entra, "ada", "key-1", active=False)
    unlink(world, okta)
    assert world.holds == [(identity, HoldKind.SCIM, entra)]


@pytest.mark.parametrize("kind", sorted(set(HoldKind) - OF_ACCOUNTS))
@pytest.mark.parametrize("act", ["unlink", "relink"])
def test_no_account_leaves_whom_an_administrator_holds(world, kind, act):
    first = world.post("ada", "key-1")
    other = world.post("bob", "okta-9", connection_id=OKTA)
    world.holds.append((first.identity_id, kind, None))
    decision = (
        unlink(world, first.account_id)
        if act == "unlink"
        else link(world, first.account_id, other.identity_id)
    )
    assert answer(decision) == (Verdict.REFUSED, "account:of-held-identity")
    assert decision.changes == ()


def test_a_link_that_moved_meanwhile_is_not_overruled(world):
    first, second = world.post("ada", "key-1"), world.post("bob", "okta-9", connection_id=OKTA)
    third = name("elsewhere")
    for decision in (
        link(world, first.account_id, second.identity_id, former_identity_id=third),
        link(world, first.account_id, second.identity_id, former_identity_id=None),
        unlink(world, first.account_id, former_identity_id=third),
    ):
        assert answer(decision) == (Verdict.REFUSED, "account:already-linked")


def test_an_account_is_relinked_and_nothing_links_it_back(world):
    identity, _, okta = two_sources(world)
    other = world.person("other", user_name="bob")
    decision = link(world, okta, other)
    assert answer(decision) == (Verdict.APPLIED, "account:relinked")
    assert kinds(decision) == {LinkAccount, KeepApart, EndSessions, UpdateIdentity}
    (moved,) = (c for c in decision.changes if isinstance(c, LinkAccount))
    assert (moved.identity_id, moved.rule) == (other, Rule.EXPLICIT)
    assert (okta, identity) in world.apart
    assert link(world, okta, identity).reason == "account:relinked"
    assert (okta, identity) not in world.apart


REFUSED = [
    pytest.param("protected", "identity:protected", id="a protected identity"),
    pytest.param("nobody", "identity:unknown", id="an unknown identity"),
    pytest.param("twin", "account:same-connection", id="one with another account of the connection"),
]


@pytest.mark.parametrize(("whom", "reason"), REFUSED)
@pytest.mark.parametrize("waits", [True, False], ids=["link", "relink"])
def test_some_identities_take_no_account(world, whom, reason, waits):
    first = world.post("ada", "key-1")
    target = name("nobody")
    if whom == "protected":
        target = world.person("glass")
        world.protected.add(target)
    if whom == "twin":
        target = world.post("bob", "key-2").identity_id
    if waits:
        unlink(world, first.account_id)
    decision = link(world, first.account_id, target, fold_duplicate=True)
    assert answer(decision) == (Verdict.REFUSED, reason)
    assert decision.changes == ()


def duplicates(world) -> tuple:
    """(a login's account with its identity, what SCIM delivered for the same person with another name and key)."""
    return world.login("ada", "p-1"), world.post("ada.l", "key-1", email="ada.l@example.org")


@pytest.mark.parametrize("towards", ["the pushed one's identity", "the login's identity"])
def test_the_subject_of_a_duplicate_moves_onto_the_account_that_scim_delivered(world, towards):
    login, pushed = duplicates(world)
    account, target = (login, pushed) if towards == "the pushed one's identity" else (pushed, login)
    decision = link(world, account.account_id, target.identity_id, fold_duplicate=True)
    assert answer(decision) == (Verdict.APPLIED, "account:folded")
    assert kinds(decision) >= {DeleteAccount, UpdateAccount, AddAlias, LinkAccount}
    kept = world.accounts[pushed.account_id]
    assert (kept.identity_id, kept.subject.value) == (target.identity_id, "p-1")
    assert login.account_id not in world.accounts
    again = world.login("ada", "p-1")
    assert (again.account_id, again.identity_id) == (kept.id, target.identity_id)


def test_a_duplicate_ends_only_where_the_administrator_says_so(world):
    login, pushed = duplicates(world)
    decision = link(world, login.account_id, pushed.identity_id)
    assert answer(decision) == (Verdict.REFUSED, "account:same-connection")


def test_what_the_login_s_account_held_is_answered_when_it_ends(world):
    login, pushed = duplicates(world)
    world.later(days=20)
    world.run(Intent.ABSENT, account_id=login.account_id)
    assert world.held(login.identity_id) == {HoldKind.EXPIRY}
    link(world, pushed.account_id, login.identity_id, fold_duplicate=True)
    assert world.holds == []
    assert world.identity(login.identity_id).enabled


def test_a_duplicate_lets_nobody_in_whom_scim_holds(world):
    login, pushed = duplicates(world)
    world.put(pushed.account_id, "ada.l", "key-1", active=False)
    link(world, login.account_id, pushed.identity_id, fold_duplicate=True)
    assert world.holds == [(pushed.identity_id, HoldKind.SCIM, pushed.account_id)]
    assert world.login("ada", "p-1").reason == "login:identity-held"


CONTRADICTIONS = [
    pytest.param({"key": "key-2"}, None, id="the login named another key"),
    pytest.param({}, "p-9", id="both have a subject, and another one"),
]


@pytest.mark.parametrize(("said", "bound"), CONTRADICTIONS)
def test_accounts_whose_keys_contradict_are_no_duplicates(world, said, bound):
    login = world.login("ada", "p-1", **said)
    pushed = world.post("ada.l", "key-1", email="ada.l@example.org")
    if bound:
        world.login("ada.l", bound, key="key-1", email="ada.l@example.org")
    decision = link(world, login.account_id, pushed.identity_id, fold_duplicate=True)
    assert answer(decision) == (Verdict.REFUSED, "account:same-connection")


def test_two_accounts_that_logins_made_are_no_duplicates(world):
    one, other = world.login("ada", "p-1"), world.login("bob", "p-2")
    decision = link(world, one.account_id, other.identity_id, fold_duplicate=True)
    assert answer(decision) == (Verdict.REFUSED, "account:same-connection")


def test_an_unknown_account_is_not_taken_off(world):
    assert answer(unlink(world, name("nobody"))) == (Verdict.REFUSED, "account:unknown")


def unbind(world, account_id, **said):
    return world.act(Intent.UNBIND, account_id=account_id, **said)


@pytest.mark.parametrize(
    ("first", "then"),
    [
        pytest.param({"user": "ada"}, {"user": "ada"}, id="by its name"),
        pytest.param({"user": "ada", "key": "key-1"}, {"user": "", "key": "key-1"}, id="by its key"),
    ],
)
def test_an_account_that_is_freed_of_its_NameID_is_bound_by_the_next_login(world, first, then):
    pushed = world.post("ada", "key-1")
    world.login(nameid="p-1", **first)
    decision = unbind(world, pushed.account_id)
    assert answer(decision) == (Verdict.APPLIED, "account:unbound")
    assert kinds(decision) == {UpdateAccount, EndSessions}
    assert world.accounts[pushed.account_id].subject is None  # it binds nothing by itself
    assert world.login(nameid="p-2", **then).reason == "login:account-bound"
    assert world.accounts[pushed.account_id].subject.value == "p-2"
    assert world.login("ada", "p-1").reason == "login:name-id-changed"


def test_an_account_that_only_a_login_made_is_bound_anew_under_its_key(world):
    first = world.login("ada", "p-1")
    named = {"nameid": "p-2", "user": "ada", "key": "key-1"}
    unbind(world, first.account_id)
    decision = world.login(**named)
    assert answer(decision) == (Verdict.APPLIED, "login:account-bound")
    assert decision.account_id == first.account_id


def test_whoever_is_held_stays_held_when_bound_anew(world):
    pushed = world.post("ada", "key-1")
    world.login("ada", "p-1")
    world.act(Intent.DISABLE, target_identity_id=pushed.identity_id, hold=HoldKind.ADMIN)
    assert unbind(world, pushed.account_id).reason == "account:unbound"
    assert world.held(pushed.identity_id) == {HoldKind.ADMIN}
    assert world.login("ada", "p-2").reason == "login:identity-held"


def test_what_is_bound_to_nothing_is_not_freed(world):
    pushed = world.post("ada", "key-1")
    assert answer(unbind(world, pushed.account_id)) == (Verdict.UNCHANGED, "account:unchanged")


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda world, one: world.protected.add(one.identity_id), "identity:protected"),
        (lambda world, one: world.delete(one.account_id), "account:unknown"),
    ],
    ids=["of a break-glass identity", "that is deleted"],
)
def test_an_account_is_not_freed_of_its_NameID_when_it_is_one(world, spoil, reason):
    pushed = world.post("ada", "key-1")
    world.login("ada", "p-1")
    spoil(world, pushed)
    assert answer(unbind(world, pushed.account_id)) == (Verdict.REFUSED, reason)


def test_a_NameID_that_went_to_somebody_else_opens_only_the_account_with_the_key(world):
    ada, bob = world.post("ada", "key-1"), world.post("bob", "key-2")
    world.login("ada", "p-1", key="key-1")
    assert world.login("bob", "p-1", key="key-2").reason == "login:name-id-recycled"
    unbind(world, ada.account_id)
    for user in ("bob", "ada"):
        decision = world.login(user, "p-1", key="key-2")
        assert decision.account_id == bob.account_id or decision.verdict is Verdict.REFUSED
    assert world.accounts[ada.account_id].subject is None


def end(world, account_id):
    return world.act(Intent.DELETE, account_id=account_id)


def test_an_inactive_account_that_is_ended_frees_its_name_and_its_person_stays_held(world):
    first = world.post("ada", "key-1", active=False)
    assert world.post("ada", "key-2").reason == "account:user-name-taken"
    decision = end(world, first.account_id)
    assert answer(decision) == (Verdict.APPLIED, "account:ended")
    assert DeleteAccount in kinds(decision)
    assert world.held(first.identity_id) == {HoldKind.SCIM}
    second = world.post("ada", "key-2")
    assert second.reason == "account:created"
    assert second.identity_id != first.identity_id


def test_an_inactive_account_that_waits_is_ended_too(world):
    world.post("ada", "key-1")
    waiting = world.post("ada.l", "okta-1", email="ada@example.org", connection_id=OKTA, active=False)
    assert waiting.reason == "account:link-pending"
    decision = world.act(Intent.DELETE, account_id=waiting.account_id, connection_id=OKTA)
    assert answer(decision) == (Verdict.APPLIED, "account:ended")


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (
            lambda world, one: world.put(one.account_id, external_id="key-1", active=True),
            "account:not-inactive",
        ),
        (lambda world, one: world.protected.add(one.identity_id), "identity:protected"),
        (lambda world, one: world.delete(one.account_id), "account:unknown"),
    ],
    ids=["has come back", "is a break-glass identity's", "is deleted"],
)
def test_an_account_is_not_ended_by_hand_when_it(world, spoil, reason):
    first = world.post("ada", "key-1", active=False)
    spoil(world, first)
    assert answer(end(world, first.account_id)) == (Verdict.REFUSED, reason)
