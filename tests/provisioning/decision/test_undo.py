"""What takes back each change of a run, and what keeps it from being taken back."""

import pytest

from provisioning.decision.types import (
    DeleteAccount,
    EndSessions,
    HoldKind,
    Intent,
    KeepApart,
    LiftHold,
    Origin,
    PlaceHold,
    TakenBack,
    UnlinkAccount,
    UpdateAccount,
    UpdateIdentity,
    Verdict,
    WithdrawFinding,
)

from .world import OKTA, World, answer, kinds, name


@pytest.fixture
def world() -> World:
    return World()


def undo(world, *lines, **said):
    return world.act(Intent.UNDO, taken_back=lines, **said)


class TestHolds:
    def lifting(self, first, kind=HoldKind.EXPIRY):
        return TakenBack(
            change="LiftHold",
            identity_id=first.identity_id,
            kind=kind,
            source_account_id=first.account_id,
        )

    def test_the_hold_that_was_placed_is_lifted_and_no_other(self, world):
        first = world.login("ada", "p-1")
        for hold in (
            (HoldKind.EXPIRY, first.account_id),
            (HoldKind.ADMIN, None),
            (HoldKind.EXPIRY, name("x")),
        ):
            world.holds.append((first.identity_id, *hold))
        decision = undo(world, self.lifting(first), target_identity_id=first.identity_id)
        assert answer(decision) == (Verdict.APPLIED, "item:undone")
        assert kinds(decision) == {LiftHold}
        assert [hold[1:] for hold in world.holds] == [(HoldKind.ADMIN, None), (HoldKind.EXPIRY, name("x"))]

    def test_one_that_has_gone_is_left(self, world):
        first = world.login("ada", "p-1")
        decision = undo(world, self.lifting(first), target_identity_id=first.identity_id)
        assert (decision.verdict, decision.changes) == (Verdict.UNCHANGED, ())

    @pytest.mark.parametrize("held", [False, True])
    def test_a_hold_that_was_lifted_lies_again(self, world, held):
        first = world.post("ada", "key-1")
        if held:
            world.holds.append((first.identity_id, HoldKind.SCIM, first.account_id))
        line = TakenBack(
            change="PlaceHold",
            identity_id=first.identity_id,
            kind=HoldKind.SCIM,
            source_account_id=first.account_id,
        )
        decision = undo(world, line, target_identity_id=first.identity_id)
        assert kinds(decision) == (set() if held else {PlaceHold, EndSessions})
        assert world.held(first.identity_id) == {HoldKind.SCIM}

    def test_a_question_is_withdrawn_with_what_it_asks_about(self, world):
        first = world.login("ada", "p-1")
        line = TakenBack(change="WithdrawFinding", finding_id=name("finding"))
        decision = undo(world, line, target_identity_id=first.identity_id)
        assert decision.changes == (WithdrawFinding(finding_id=name("finding")),)


class TestAccounts:
    def test_a_link_is_taken_off_and_stays_off(self, world):
        first = world.post("ada", "key-1")
        pending = world.post("ada", "okta-1", connection_id=OKTA)
        world.act(
            Intent.UPDATE,
            account_id=pending.account_id,
            target_identity_id=first.identity_id,
            connection_id=OKTA,
        )
        line = TakenBack(change="UnlinkAccount", account_id=pending.account_id, identity_id=first.identity_id)
        decision = undo(world, line, account_id=pending.account_id, connection_id=OKTA)
        assert {UnlinkAccount, KeepApart} <= kinds(decision)
        assert world.accounts[pending.account_id].identity_id is None

    def test_a_link_to_somebody_else_by_now_is_left(self, world):
        first, other = world.post("ada", "key-1"), world.post("bob", "key-2")
        line = TakenBack(change="UnlinkAccount", account_id=first.account_id, identity_id=other.identity_id)
        assert undo(world, line, account_id=first.account_id).changes == ()

    def test_who_was_made_loses_access_and_nothing_is_deleted(self, world):
        made = world.post("ada", "key-1")
        lines = [
            TakenBack(change="RemoveAccount", account_id=made.account_id, identity_id=made.identity_id),
            TakenBack(change="RemoveIdentity", identity_id=made.identity_id),
        ]
        decision = undo(world, *lines, account_id=made.account_id)
        assert kinds(decision) == {DeleteAccount, EndSessions}
        assert not world.identity(made.identity_id).enabled
        assert made.identity_id in world.profiles

    def test_who_was_made_and_is_somebody_else_s_by_now_stays(self, world):
        made, other = world.post("ada", "key-1"), world.post("bob", "key-2")
        line = TakenBack(change="RemoveAccount", account_id=made.account_id, identity_id=other.identity_id)
        assert undo(world, line, account_id=made.account_id).changes == ()

    def test_other_accounts_of_the_person_let_in_as_before(self, world):
        first = world.post("ada", "key-1")
        second = world.post("ada", "okta-1", connection_id=OKTA)
        world.act(
            Intent.UPDATE,
            account_id=second.account_id,
            target_identity_id=first.identity_id,
            connection_id=OKTA,
        )
        line = TakenBack(change="RemoveAccount", account_id=second.account_id, identity_id=first.identity_id)
        undo(world, line, account_id=second.account_id, connection_id=OKTA)
        assert world.identity(first.identity_id).enabled

    def test_an_account_says_again_what_it_said(self, world):
        first = world.post("ada", "key-1", given_name="Ada")
        before = world.accounts[first.account_id].resource
        world.put(first.account_id, "lovelace", "key-2", given_name="Countess")
        after = world.accounts[first.account_id].resource
        names = [name for name in {*before, *after} if before.get(name) != after.get(name)]
        line = TakenBack(
            change="RestoreAccount",
            account_id=first.account_id,
            before={name: before[name] for name in names if name in before},
            after={name: after[name] for name in names if name in after},
            fields=frozenset({"user_name", "external_id"}),
            user_name="ada",
            external_id="key-1",
        )
        decision = undo(world, line, account_id=first.account_id, user_name="ada", external_id="key-1")
        assert kinds(decision) == {UpdateAccount, UpdateIdentity}
        account = world.accounts[first.account_id]
        assert (account.resource, account.user_name, account.external_id, account.emails) == (
            before,
            "ada",
            "key-1",
            ("ada@example.org",),
        )
        assert world.profiles[first.identity_id].given_name == "Ada"

    def test_what_was_not_changed_keeps_what_it_says_now(self, world):
        first = world.post("ada", "key-1")
        world.put(first.account_id, "ada", "key-1", given_name="Ada")
        line = TakenBack(change="RestoreAccount", account_id=first.account_id, after={"title": "Dr"})
        undo(world, line, account_id=first.account_id)
        assert world.profiles[first.identity_id].given_name == "Ada"

    def test_what_a_run_confirmed_is_unconfirmed_again(self, world):
        first = world.login("ada", "p-1")
        world.put(first.account_id, "ada")
        line = TakenBack(
            change="RestoreAccount",
            account_id=first.account_id,
            fields=frozenset({"confirmed"}),
            lifecycle_owner=Origin.JIT,
        )
        undo(world, line, account_id=first.account_id)
        account = world.accounts[first.account_id]
        assert (account.confirmed, account.lifecycle_owner) == (False, Origin.JIT)

    @pytest.mark.parametrize(
        ("user", "key", "reason"),
        [
            ("old", "key-9", "account:user-name-taken"),
            ("ada.n", "old-key", "account:external-id-taken"),
        ],
    )
    def test_a_name_or_key_that_is_somebody_else_s_by_now_is_not_taken_from_them(
        self, world, user, key, reason
    ):
        first = world.post("ada", "key-1")
        world.post(user, key)
        line = TakenBack(
            change="RestoreAccount",
            account_id=first.account_id,
            fields=frozenset({"user_name", "external_id"}),
            user_name="old",
            external_id="old-key",
        )
        decision = undo(world, line, account_id=first.account_id, user_name="old", external_id="old-key")
        assert answer(decision) == (Verdict.REFUSED, reason)


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"account_id": name("nobody")}, "account:unknown"),
        ({"target_identity_id": name("nobody")}, "identity:unknown"),
    ],
)
def test_nobody_is_taken_back_to(world, said, reason):
    assert answer(undo(world, **said)) == (Verdict.REFUSED, reason)
