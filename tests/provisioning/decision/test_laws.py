"""Laws that hold whatever happened before: stories of random pushes, logins, runs and acts in a hub in memory."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from provisioning.decision.acts import PLACED_BY_ADMINISTRATORS
from provisioning.decision.decide import decide
from provisioning.decision.keys import domain_of, lock_keys
from provisioning.decision.policy import Jit
from provisioning.decision.reactions import REACTIONS
from provisioning.decision.situations import OF_ACCOUNTS
from provisioning.decision.types import (
    PERSISTENT,
    AccountFacts,
    Channel,
    CreateAccount,
    CreateIdentity,
    Decision,
    DeleteAccount,
    HoldKind,
    Intent,
    LiftHold,
    LinkAccount,
    Merge,
    Observation,
    OpenFinding,
    PlaceHold,
    RecordLogin,
    UnlinkAccount,
    UpdateAccount,
    UpdateIdentity,
    Verdict,
)

from .world import EMAIL_FORMAT, ENTRA, OKTA, OPEN, TRANSIENT_FORMAT, World

USERS = ["ada", "Ada", "bob", "straße", "strasse"]
KEYS = ["k1", "k2", "k3"]
EMAILS = ["ada@example.org", "bob@example.org", "desk@example.org", "ada@other.example", ""]
HR = ["", "", "7", "8"]
CONNECTIONS = [ENTRA, OKTA]

policies = st.builds(
    lambda **chosen: replace(OPEN, **chosen),
    jit=st.sampled_from([Jit.CREATE, Jit.CREATE, Jit.EXISTING, Jit.OFF]),
    jit_approval=st.booleans(),
    domains=st.sampled_from([OPEN.domains, OPEN.domains, frozenset(), frozenset({"other.example"})]),
    required_attributes=st.sampled_from([("email",), ()]),
    asserted_groups=st.sampled_from([frozenset(), frozenset({"Staff"})]),
    trusted_hr_number=st.booleans(),
    trusted_email=st.booleans(),
    has_lifecycle_source=st.booleans(),
)

steps = st.one_of(
    st.fixed_dictionaries(
        {
            "do": st.sampled_from(["post", "post", "put", "put"]),
            "user": st.sampled_from(USERS),
            "key": st.sampled_from([None, *KEYS]),
            "email": st.sampled_from(EMAILS),
            "hr_number": st.sampled_from(HR),
            "active": st.sampled_from([None, True, False]),
            "connection": st.sampled_from(CONNECTIONS),
            "which": st.integers(0, 5),
        }
    ),
    st.fixed_dictionaries(
        {
            "do": st.just("listed"),
            "user": st.sampled_from(USERS),
            "key": st.sampled_from([None, *KEYS]),
            "email": st.sampled_from(EMAILS),
            "hr_number": st.sampled_from(HR),
            "active": st.sampled_from([None, True, True, False]),
            "intent": st.sampled_from(
                [None, None, Intent.CREATE, Intent.UPDATE, Intent.ENABLE, Intent.DISABLE]
            ),
            "connection": st.sampled_from(CONNECTIONS),
            "days": st.integers(0, 20),
        }
    ),
    st.fixed_dictionaries(
        {
            "do": st.just("login"),
            "user": st.sampled_from(["", *USERS]),
            "nameid": st.sampled_from(["p1", "p2", "k1", "k2", *USERS]),
            "format": st.sampled_from([PERSISTENT, PERSISTENT, EMAIL_FORMAT, TRANSIENT_FORMAT]),
            "key": st.sampled_from([None, None, *KEYS]),
            "email": st.sampled_from(EMAILS),
            "hr_number": st.sampled_from(HR),
            "groups": st.sampled_from([(), ("Staff",), ("Works council", "Staff"), ("staff",)]),
            "connection": st.sampled_from(CONNECTIONS),
        }
    ),
    st.fixed_dictionaries(
        {
            "do": st.sampled_from(
                [
                    "delete",
                    "absent",
                    "missing",
                    "rematch",
                    "sweep",
                    "separate",
                    "unbind",
                    "end",
                    "protect",
                    "wait",
                ]
            ),
            "which": st.integers(0, 5),
        }
    ),
    st.fixed_dictionaries(
        {
            "do": st.sampled_from(["hold", "lift", "link", "link", "unlink", "merge"]),
            "fold": st.booleans(),
            "which": st.integers(0, 5),
            "whom": st.integers(0, 5),
            "hold": st.sampled_from([*sorted(PLACED_BY_ADMINISTRATORS), HoldKind.SCIM, HoldKind.EXPIRY]),
        }
    ),
)

stories = st.lists(steps, min_size=1, max_size=14)
# Two people at one IdP, of whom pushes and rosters speak in turn.
said_of_few = {
    "user": st.sampled_from(["ada", "bob"]),
    "key": st.sampled_from([None, "k1", "k1", "k2"]),
    "email": st.just("ada@example.org"),
    "hr_number": st.just(""),
    "connection": st.just(ENTRA),
    "which": st.integers(0, 1),
}
few_stories = st.lists(
    st.one_of(
        st.fixed_dictionaries(
            said_of_few
            | {
                "do": st.sampled_from(["post", "put", "put"]),
                "active": st.sampled_from([None, True, False, False]),
            }
        ),
        st.fixed_dictionaries(
            said_of_few
            | {
                "do": st.just("listed"),
                "active": st.sampled_from([True, True, False]),
                "intent": st.none(),
                "days": st.sampled_from([0, 0, 0, 20]),
            }
        ),
        st.fixed_dictionaries(
            said_of_few | {"do": st.sampled_from(["missing", "delete", "protect", "wait", "separate"])}
        ),
    ),
    min_size=1,
    max_size=14,
)
law = settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def observation_of(world: World, step: dict) -> Observation | None:
    """What a step says in this world; None for a step that only changes the world around it."""
    account = _pick(list(world.accounts.values()), step.get("which", 0))
    identity_id = _pick(list(world.profiles), step.get("whom", step.get("which", 0)))
    do = step["do"]
    if do == "protect" and identity_id and not any(a.identity_id == identity_id for a in _live(world)):
        world.protected.add(identity_id)
    if do == "wait":
        world.at += timedelta(days=16)
    pushed = {name: step.get(name) for name in ("email", "hr_number", "active")}
    if do == "post":
        return world.pushed(
            Intent.CREATE, step["user"], step["key"], **pushed, connection_id=step["connection"]
        )
    if do == "listed":
        said = pushed | {"intent": step["intent"], "as_of": world.at - timedelta(days=step["days"])}
        return world.row(step["user"], step["key"], **said, connection_id=step["connection"])
    if do == "login":
        said = {name: step[name] for name in ("format", "key", "email", "hr_number", "groups")}
        return world.asserted(step["user"], step["nameid"], **said, connection_id=step["connection"])
    if do in ("hold", "lift", "sweep") and identity_id:
        channel = Channel.ROSTER if do == "sweep" else Channel.ADMIN
        intent = Intent.ENABLE if do == "lift" else Intent.DISABLE
        return world.observed(channel, intent, target_identity_id=identity_id, hold=step.get("hold"))
    if do == "merge" and identity_id:
        other = _pick(list(world.profiles), step["which"])
        said = {"target_identity_id": identity_id, "former_identity_id": other, "connection_id": None}
        return world.observed(Channel.ADMIN, Intent.MERGE, merge=Merge(id=world.new_name()), **said)
    if account is None:
        return None
    to = {"account_id": account.id, "connection_id": account.connection_id}
    if do == "put":
        intent = Intent.UPDATE
        if step["active"] is not None and step["active"] != account.active:
            intent = Intent.ENABLE if step["active"] else Intent.DISABLE
        return world.pushed(intent, step["user"], step["key"], **pushed, **to)
    if do == "rematch":
        profile = world.pushed(Intent.UPDATE, account.user_name).profile
        return world.observed(Channel.ROSTER, Intent.UPDATE, emails=account.emails, profile=profile, **to)
    if do == "link":
        said = {"former_identity_id": account.identity_id, "fold_duplicate": step["fold"]}
        return world.observed(Channel.ADMIN, Intent.UPDATE, target_identity_id=identity_id, **said, **to)
    if do == "unlink":
        return world.observed(Channel.ADMIN, Intent.UNLINK, **to)
    if do == "missing":
        return world.observed(Channel.ROSTER, Intent.ABSENT, as_of=world.at, **to)
    plain = {
        "delete": (Channel.SCIM, Intent.DELETE),
        "absent": (Channel.ROSTER, Intent.ABSENT),
        "separate": (Channel.ADMIN, Intent.CREATE),
        "unbind": (Channel.ADMIN, Intent.UNBIND),
        "end": (Channel.ADMIN, Intent.DELETE),
    }
    return world.observed(*plain[do], **to) if do in plain else None


def told(world: World, story: list[dict]):
    """Each observation of a story with the world before it and the decision, which is then applied."""
    for step in story:
        observation = observation_of(world, step)
        if observation is not None:
            decision = decide(world.known(observation), observation, world.policy)
            yield observation, decision
            for change in decision.changes:
                world.apply(change, observation.as_of)


def fresh(world: World, observation: Observation) -> Observation:
    """The same fact, arriving once more."""
    ids = world.observed(observation.channel, observation.intent)
    return replace(observation, new_account_id=ids.new_account_id, new_identity_id=ids.new_identity_id)


@law
@given(policies, stories)
def test_deciding_twice_is_quiet(policy, story):
    world = World(policy=policy)
    for step in story:
        observation = observation_of(world, step)
        if observation is None:
            continue
        world.submit(observation)
        asked = list(world.findings)
        again = world.submit(fresh(world, observation))
        if again.verdict is Verdict.REFUSED:
            # A repeated POST is refused, and may ask a person why; the next one asks no more.
            asked = list(world.findings)
            again = world.submit(fresh(world, observation))
        # The store keeps one open finding of a kind about the same account and people.
        assert {type(c) for c in again.changes if c not in asked} <= {RecordLogin}
        assert again.verdict is not Verdict.APPLIED or observation.channel is Channel.SAML


@law
@given(policies, stories)
def test_a_login_never_lifts_a_hold_and_admits_nobody_who_is_held(policy, story):
    world = World(policy=policy)
    for observation, decision in told(world, story):
        if observation.channel is Channel.SAML:
            assert not any(isinstance(c, LiftHold | DeleteAccount) for c in decision.changes)
            if decision.verdict in (Verdict.APPLIED, Verdict.UNCHANGED):
                assert decision.identity_id
                assert not world.held(decision.identity_id)


@law
@given(policies, stories)
def test_no_account_is_made_by_a_login_outside_the_granted_domains(policy, story):
    world = World(policy=policy)
    for observation, decision in told(world, story):
        made = {type(c) for c in decision.changes} & {CreateAccount, CreateIdentity}
        if observation.channel is not Channel.SAML or not made:
            continue
        domains = {domain_of(email) for email in {observation.profile.email, *observation.emails} - {""}}
        assert domains <= policy.domains
        assert domains or (CreateIdentity not in made and not policy.domains)


@law
@given(policies, few_stories | stories)
def test_a_roster_revives_nobody_whom_somebody_else_closed_and_deletes_nobody(policy, story):
    world = World(policy=policy)
    closed_by: dict = {}
    for observation, decision in told(world, story):
        from_roster = observation.channel is Channel.ROSTER
        for change in decision.changes:
            if from_roster:
                assert not isinstance(change, DeleteAccount)
                if isinstance(change, LiftHold):
                    assert change.kind in (HoldKind.SCIM, HoldKind.EXPIRY)
                    assert closed_by.get(change.source_account_id, Channel.ROSTER) is Channel.ROSTER
            if isinstance(change, UpdateAccount | CreateAccount):
                if not change.active:
                    # What SCIM writes while the account is closed is SCIM's word that it is.
                    closed_by.setdefault(change.account_id, observation.channel)
                    if not from_roster:
                        closed_by[change.account_id] = observation.channel
                elif closed_by.pop(change.account_id, None) not in (None, Channel.ROSTER):
                    assert not from_roster
            if isinstance(change, DeleteAccount):
                closed_by[change.account_id] = observation.channel


@law
@given(policies, few_stories | stories)
def test_a_roster_touches_no_protected_identity_and_no_account_that_is_newer(policy, story):
    world = World(policy=policy)
    for step in story:
        observation = observation_of(world, step)
        if observation is None:
            continue
        before = dict(world.accounts)
        decision = world.submit(observation)
        if observation.as_of is None or observation.channel is not Channel.ROSTER:
            continue
        for change in decision.changes:
            if isinstance(change, UpdateAccount):
                account = before[change.account_id]
                assert not account.confirmed or account.speaks_of <= observation.as_of
                assert account.identity_id not in world.protected
            if isinstance(change, PlaceHold | LiftHold | UpdateIdentity | LinkAccount | CreateIdentity):
                assert change.identity_id not in world.protected


@law
@given(policies, stories)
def test_a_login_holds_nobody_but_whom_it_made_and_only_until_an_approval(policy, story):
    world = World(policy=policy)
    for observation, decision in told(world, story):
        if observation.channel is Channel.SAML:
            made = {c.identity_id for c in decision.changes if isinstance(c, CreateIdentity)}
            held = {(c.identity_id, c.kind) for c in decision.changes if isinstance(c, PlaceHold)}
            assert held == ({(i, HoldKind.APPROVAL) for i in made} if policy.jit_approval else set())
            assert decision.verdict is not Verdict.PENDING or not any(
                isinstance(c, RecordLogin) for c in decision.changes
            )


@law
@given(policies, stories)
def test_nobody_but_an_administrator_lifts_an_approval_hold(policy, story):
    world = World(policy=policy)
    for observation, decision in told(world, story):
        if observation.channel is not Channel.ADMIN:
            assert not any(
                isinstance(c, LiftHold) and c.kind in PLACED_BY_ADMINISTRATORS for c in decision.changes
            )


@law
@given(policies, stories)
def test_an_account_keeps_no_group_but_those_on_the_allow_list(policy, story):
    world = World(policy=policy)
    for _ in told(world, story):
        for account in _live(world):
            assert set(account.assertion.get("groups", ())) <= policy.asserted_groups
            assert "groups" not in account.resource


@law
@given(policies, stories)
def test_a_refusal_changes_nothing_but_findings(policy, story):
    world = World(policy=policy)
    for _, decision in told(world, story):
        if decision.verdict is Verdict.REFUSED:
            assert all(isinstance(c, OpenFinding) for c in decision.changes)
        if decision.verdict in (Verdict.STALE, Verdict.UNCHANGED):
            assert decision.changes == ()
        if decision.verdict is Verdict.APPLIED:
            assert decision.changes


@law
@given(policies, stories)
def test_every_situation_that_is_named_has_a_reaction(policy, story):
    world = World(policy=policy)
    for observation, decision in told(world, story):
        intent = observation.intent
        assert (observation.channel, intent, decision.situation) in REACTIONS


@law
@given(policies, stories)
def test_no_decision_links_across_a_protected_identity(policy, story):
    world = World(policy=policy)
    for _, decision in told(world, story):
        linked = {
            c.identity_id for c in decision.changes if isinstance(c, CreateAccount | LinkAccount | PlaceHold)
        }
        by_hand = {c.identity_id for c in decision.changes if isinstance(c, PlaceHold)}
        assert not (linked - by_hand) & world.protected
        if decision.reason != "identity:held":
            assert not linked & world.protected


@law
@given(policies, stories)
def test_live_accounts_of_a_connection_never_share_a_name_or_a_key(policy, story):
    world = World(policy=policy)
    for _ in told(world, story):
        pass
    for keys in (_names(world), _external_ids(world), _subjects(world)):
        assert len(keys) == len(set(keys))


@law
@given(policies, stories)
def test_nobody_with_an_inactive_account_is_let_in_but_by_an_administrator(policy, story):
    world = World(policy=policy)
    lifted = set()
    for observation, decision in told(world, story):
        if observation.channel is Channel.ADMIN:
            lifted |= {c.identity_id for c in decision.changes if isinstance(c, LiftHold)}
    for account in _live(world):
        if not account.active and account.identity_id and account.identity_id not in world.protected:
            assert world.held(account.identity_id) or account.identity_id in lifted


@law
@given(policies, stories)
def test_only_a_writer_of_the_account_s_own_connection_lifts_its_hold(policy, story):
    world = World(policy=policy)
    for observation, decision in told(world, story):
        for change in decision.changes:
            if isinstance(change, LiftHold) and observation.channel is not Channel.ADMIN:
                source = world.accounts.get(change.source_account_id) or next(
                    a for a, _ in world.graves if a.id == change.source_account_id
                )
                assert source.connection_id == observation.connection_id


@law
@given(policies, stories)
def test_what_an_account_holds_goes_where_the_account_goes(policy, story):
    """An administrator who links or unlinks lets nobody in by an account that held somebody, and strands no hold."""
    world = World(policy=policy)
    for step in story:
        observation = observation_of(world, step)
        if observation is None:
            continue
        before = {key: _held_through(world, key) for key in world.accounts}
        decision = world.submit(observation)
        if observation.channel is not Channel.ADMIN:
            continue
        for change in decision.changes:
            if not isinstance(change, LinkAccount | UnlinkAccount) or change.account_id not in world.accounts:
                continue
            account = world.accounts[change.account_id]
            own = {HoldKind.EXPIRY} if account.confirmed and account.identity_id else set()
            assert before[account.id] - own <= _held_through(world, account.id)
            assert {i for i, _, source in world.holds if source == account.id} <= {account.identity_id}


def _held_through(world: World, account_id: UUID) -> set[HoldKind]:
    """What the account holds somebody by, or will hold whomever it is linked to by."""
    resting = {kind for _, kind, source in world.holds if source == account_id and kind in OF_ACCOUNTS}
    if account_id in world.accounts and not world.accounts[account_id].active:
        resting.add(HoldKind.SCIM)
    return resting | {kind for (a, _), kinds in world.apart.items() if a == account_id for kind in kinds}


@law
@given(policies, stories)
def test_no_rule_links_an_account_again_that_a_person_took_off(policy, story):
    world = World(policy=policy)
    for observation, decision in told(world, story):
        if observation.channel is not Channel.ADMIN:
            linked = {(c.account_id, c.identity_id) for c in decision.changes if isinstance(c, LinkAccount)}
            assert not linked & world.apart.keys()


@law
@given(policies, stories)
def test_whoever_ended_in_somebody_else_has_nothing_and_is_found_no_more(policy, story):
    world = World(policy=policy)
    for _, decision in told(world, story):
        assert decision.identity_id not in world.merged or decision.verdict is not Verdict.APPLIED
    for loser in world.merged:
        assert not any(a.identity_id == loser for a in _live(world))
        assert not world.held(loser)
        assert loser not in world.sessions
        assert not world.identity(loser).enabled


@law
@given(policies, stories)
def test_a_merge_frees_nobody(policy, story):
    """Of two people who turn out to be one, whoever was held holds both."""
    world = World(policy=policy)
    for step in story:
        observation = observation_of(world, step)
        if observation is None:
            continue
        held = list(world.holds)
        decision = world.submit(observation)
        if decision.reason != "identity:merged":
            continue
        ended = {c.account_id for c in decision.changes if isinstance(c, DeleteAccount)}
        two = {observation.target_identity_id, observation.former_identity_id}
        expected = {(kind, source) for who, kind, source in held if who in two and source not in ended}
        assert expected <= {(k, s) for who, k, s in world.holds if who == observation.target_identity_id}


@law
@given(policies, stories)
def test_no_act_but_a_lift_frees_whom_an_administrator_holds(policy, story):
    """Nobody who is held by hand gets in by an account that was tied to somebody else meanwhile."""
    world = World(policy=policy)
    for _, decision in told(world, story):
        for change in decision.changes:
            if isinstance(change, LinkAccount | UnlinkAccount):
                before = world.accounts.get(change.account_id)
                if before and before.identity_id and before.identity_id != change.identity_id:
                    assert not world.held(before.identity_id) - OF_ACCOUNTS


@law
@given(policies, steps, steps)
def test_two_first_observations_of_one_person_share_a_lock(policy, one, other):
    """Whatever the second finds of what the first one made, it finds by a key that both lock."""
    if not {one["do"], other["do"]} <= {"post", "login"}:
        return
    world = World(policy=policy)
    first, second = observation_of(world, one), observation_of(world, other)
    alone = _without_ids(decide(world.known(second), second, policy), second)
    world.submit(first)
    after = _without_ids(decide(world.known(second), second, policy), second)
    if alone != after:
        assert lock_keys(first) & lock_keys(second)


def _without_ids(decision: Decision, observation: Observation) -> tuple:
    made = sum(isinstance(c, CreateAccount | CreateIdentity) for c in decision.changes)
    return decision.verdict, decision.situation, decision.reason, made


def _live(world: World) -> list[AccountFacts]:
    return list(world.accounts.values())


def _names(world: World) -> list:
    return [(a.connection_id, a.user_name.lower()) for a in _live(world)]


def _external_ids(world: World) -> list:
    return [(a.connection_id, a.external_id) for a in _live(world) if a.external_id]


def _subjects(world: World) -> list:
    return [(a.connection_id, a.subject) for a in _live(world) if a.subject]


def _pick(things: list, which: int):
    return things[which % len(things)] if things else None
