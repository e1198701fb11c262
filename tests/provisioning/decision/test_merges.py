"""Row 36: two identities turn out to be one person, or to be two after all."""

import pytest

from provisioning.decision.types import (
    CloseFinding,
    DeleteAccount,
    EndSessions,
    Folded,
    HoldKind,
    Intent,
    LiftHold,
    Merge,
    MergeIdentities,
    Profile,
    UnmergeIdentities,
    UpdateAccount,
    UpdateIdentity,
    Verdict,
)

from .world import OKTA, World, answer, kinds, name

MERGE = Merge(id=name("merge"))


@pytest.fixture
def world() -> World:
    return World()


def merge(world, winner, loser, **said):
    return world.act(
        Intent.MERGE,
        target_identity_id=winner,
        former_identity_id=loser,
        connection_id=None,
        merge=MERGE,
        **said,
    )


def unmerge(world, winner, loser, accounts=()):
    return world.act(
        Intent.UNMERGE,
        target_identity_id=winner,
        former_identity_id=loser,
        connection_id=None,
        merge=Merge(id=MERGE.id, accounts=frozenset(accounts)),
    )


def ended(decision) -> set:
    return {change.identity_id for change in decision.changes if isinstance(change, EndSessions)}


def two(world) -> tuple:
    """One person twice: pushed by Entra, and by Okta under another name."""
    one = world.post("ada", "key-1")
    other = world.post("adal", "okta-1", given_name="Ada", email="adal@okta.example", connection_id=OKTA)
    assert one.identity_id != other.identity_id
    return one, other


def test_the_accounts_of_both_are_one_person_s_and_the_loser_is_found_no_more(world):
    one, other = two(world)
    decision = merge(world, one.identity_id, other.identity_id, finding_id=name("finding"))
    assert answer(decision) == (Verdict.APPLIED, "identity:merged")
    assert kinds(decision) == {MergeIdentities, UpdateIdentity, EndSessions, CloseFinding}
    assert decision.identity_id == one.identity_id
    assert {a.identity_id for a in world.accounts.values()} == {one.identity_id}
    assert ended(decision) == {other.identity_id}
    assert world.profiles[one.identity_id].given_name == "Ada"
    assert not world.identity(other.identity_id).enabled
    # Who looks for her by the name she had there meets the identity that stands for her.
    signed_in = world.login("adal", "p-1", key="okta-1", connection_id=OKTA)
    assert signed_in.identity_id == one.identity_id


@pytest.mark.parametrize("held", ["the winner", "the loser", "both", "nobody"])
def test_whoever_is_held_holds_both(world, held):
    one, other = two(world)
    expected = []
    if held in ("the loser", "both"):
        world.holds.append((other.identity_id, HoldKind.SECURITY, None))
        expected.append((one.identity_id, HoldKind.SECURITY, None))
    if held in ("the winner", "both"):
        world.holds.append((one.identity_id, HoldKind.SECURITY, None))
        expected = [(one.identity_id, HoldKind.SECURITY, None)]
    decision = merge(world, one.identity_id, other.identity_id)
    assert world.holds == expected
    assert (one.identity_id in ended(decision)) == (held in ("the loser", "both"))


def test_a_hold_goes_with_its_source_and_is_lifted_by_it(world):
    one, other = two(world)
    world.put(other.account_id, "adal", "okta-1", active=False, connection_id=OKTA)
    merge(world, one.identity_id, other.identity_id)
    assert world.holds == [(one.identity_id, HoldKind.SCIM, other.account_id)]
    assert world.login("ada", "p-1", key="key-1").reason == "login:identity-held"
    world.put(other.account_id, "adal", "okta-1", active=True, connection_id=OKTA)
    assert world.holds == []


def test_a_login_s_duplicate_ends_in_the_account_that_scim_delivered(world):
    login = world.login("ada", "p-1")
    world.later(days=20)
    world.run(Intent.ABSENT, account_id=login.account_id)
    pushed = world.post("ada.l", "key-1", email="ada.l@example.org")
    decision = merge(world, pushed.identity_id, login.identity_id)
    assert kinds(decision) >= {DeleteAccount, UpdateAccount, LiftHold, MergeIdentities}
    (change,) = (c for c in decision.changes if isinstance(c, MergeIdentities))
    assert change.folded == (
        Folded(login_account_id=login.account_id, account_id=pushed.account_id, lifted=(HoldKind.EXPIRY,)),
    )
    again = world.login("ada", "p-1")
    assert (again.account_id, again.identity_id) == (pushed.account_id, pushed.identity_id)


def protected(world, one, other):
    world.protected.add(one.identity_id)


def protected_loser(world, one, other):
    world.protected.add(other.identity_id)


def local_loser(world, one, other):
    world.local.add(other.identity_id)


def merged(world, one, other):
    third = world.post("third", "key-3")
    assert merge(world, third.identity_id, other.identity_id).reason == "identity:merged"


def merged_winner(world, one, other):
    third = world.post("third", "okta-3", connection_id=name("third"))
    assert merge(world, third.identity_id, one.identity_id).reason == "identity:merged"


REFUSED = [
    pytest.param(protected, "identity:protected", id="into a protected identity"),
    pytest.param(protected_loser, "identity:protected", id="a protected identity"),
    pytest.param(local_loser, "identity:signs-in-here", id="one with a password of the hub's own"),
    pytest.param(merged, "identity:merged-away", id="one that ended in another one"),
    pytest.param(merged_winner, "identity:merged-away", id="into one that ended in another one"),
]


@pytest.mark.parametrize(("before", "reason"), REFUSED)
def test_some_identities_are_not_merged(world, before, reason):
    one, other = two(world)
    before(world, one, other)
    decision = merge(world, one.identity_id, other.identity_id)
    assert answer(decision) == (Verdict.REFUSED, reason)
    assert decision.changes == ()


def test_somebody_local_may_be_the_one_who_stays(world):
    one, other = two(world)
    world.local.add(one.identity_id)
    assert merge(world, one.identity_id, other.identity_id).reason == "identity:merged"


@pytest.mark.parametrize("login", [False, True], ids=["two that SCIM delivered", "two that logins made"])
def test_two_people_of_one_connection_are_not_one(world, login):
    if login:
        one, other = world.login("ada", "p-1"), world.login("bob", "p-2")
    else:
        one, other = world.post("ada", "key-1"), world.post("bob", "key-2")
    decision = merge(world, one.identity_id, other.identity_id)
    assert answer(decision) == (Verdict.REFUSED, "identity:accounts-collide")


def test_an_identity_is_not_merged_into_itself_nor_into_nobody(world):
    one, _ = two(world)
    assert merge(world, one.identity_id, one.identity_id).reason == "identity:itself"
    assert merge(world, one.identity_id, name("nobody")).reason == "identity:unknown"
    assert merge(world, name("nobody"), one.identity_id).reason == "identity:unknown"


def test_no_account_is_linked_to_whoever_ended_in_somebody_else(world):
    one, other = two(world)
    merge(world, one.identity_id, other.identity_id)
    waiting = world.post("ada.k", "k-1", email="ada@example.org", connection_id=name("third"))
    decision = world.act(
        Intent.UPDATE,
        account_id=waiting.account_id,
        target_identity_id=other.identity_id,
        connection_id=name("third"),
    )
    assert answer(decision) == (Verdict.REFUSED, "identity:merged-away")


@pytest.mark.parametrize("intent", [Intent.DISABLE, Intent.ENABLE])
def test_nobody_holds_whoever_ended_in_somebody_else(world, intent):
    one, other = two(world)
    merge(world, one.identity_id, other.identity_id)
    decision = world.act(intent, target_identity_id=other.identity_id, hold=HoldKind.ADMIN)
    assert answer(decision) == (Verdict.REFUSED, "identity:merged-away")


def test_each_shows_its_own_again_when_a_merge_is_taken_back(world):
    one, other = two(world)
    before = dict(world.profiles)
    merge(world, one.identity_id, other.identity_id)
    world.profiles[other.identity_id] = Profile()
    decision = unmerge(world, one.identity_id, other.identity_id, [other.account_id])
    assert answer(decision) == (Verdict.APPLIED, "identity:unmerged")
    assert kinds(decision) == {UnmergeIdentities, UpdateIdentity, EndSessions}
    assert ended(decision) == {one.identity_id, other.identity_id}
    assert world.profiles == before


def test_only_a_merge_that_stands_is_taken_back(world):
    one, other = two(world)
    assert unmerge(world, one.identity_id, other.identity_id).reason == "identity:not-merged"
    merge(world, one.identity_id, other.identity_id)
    third = world.post("third", "k-3", connection_id=name("third"))
    assert unmerge(world, third.identity_id, other.identity_id).reason == "identity:not-merged"
    assert unmerge(world, one.identity_id, name("nobody")).reason == "identity:unknown"
    merge(world, third.identity_id, one.identity_id)
    later = unmerge(world, one.identity_id, other.identity_id)
    assert answer(later) == (Verdict.REFUSED, "identity:merged-away")
