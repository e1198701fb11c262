"""The table is total: every combination that can occur has its reaction, every other is refused by name."""

from itertools import product

import pytest

from provisioning.decision.reactions import REACTIONS, refuse_by_name
from provisioning.decision.situations import NAMINGS, Case
from provisioning.decision.types import Channel, Intent, Known, Situation, Verdict

from .world import OPEN, World

S = Situation

ROW = {S.LINKED, S.WAITING, S.ADOPTABLE, S.PROTECTED, S.COLLISION, S.STALE, S.UNMATCHED}
WRITE = {S.LINKED, S.WAITING, S.ADOPTABLE, S.PROTECTED, S.COLLISION, S.STALE, S.UNMATCHED}

CAN_OCCUR = {
    (Channel.SCIM, Intent.CREATE): {
        S.UNMATCHED,
        S.RECYCLED,
        S.UNLINKED,
        S.DELETED,
        S.WEAK,
        S.DISPUTED,
        S.PROTECTED,
        S.ADOPTABLE,
        S.INACTIVE,
        S.COLLISION,
    },
    (Channel.SCIM, Intent.UPDATE): WRITE,
    (Channel.SCIM, Intent.ENABLE): WRITE,
    (Channel.SCIM, Intent.DISABLE): WRITE,
    (Channel.SCIM, Intent.DELETE): {S.LINKED, S.WAITING, S.PROTECTED, S.STALE, S.UNMATCHED},
    (Channel.SAML, Intent.AUTHENTICATE): {
        S.LINKED,
        S.UNMATCHED,
        S.UNLINKED,
        S.WEAK,
        S.DISPUTED,
        S.WAITING,
        S.HELD,
        S.DELETED,
        S.COLLISION,
        S.PROTECTED,
        S.UNUSABLE,
    },
    (Channel.ROSTER, Intent.CREATE): ROW | {S.RECYCLED, S.UNLINKED, S.WEAK, S.DISPUTED, S.DELETED},
    (Channel.ROSTER, Intent.UPDATE): ROW,
    (Channel.ROSTER, Intent.ENABLE): ROW,
    (Channel.ROSTER, Intent.DISABLE): ROW | {S.HELD},
    (Channel.ROSTER, Intent.ABSENT): {
        S.ADOPTABLE,
        S.LINKED,
        S.WAITING,
        S.PROTECTED,
        S.STALE,
        S.UNMATCHED,
    },
    (Channel.ADMIN, Intent.CREATE): {S.WAITING, S.LINKED, S.UNMATCHED},
    (Channel.ADMIN, Intent.UPDATE): {
        S.WAITING,
        S.MISPLACED,
        S.LINKED,
        S.HELD,
        S.COLLISION,
        S.PROTECTED,
        S.UNMATCHED,
    },
    (Channel.ADMIN, Intent.MERGE): {S.LINKED, S.HELD, S.COLLISION, S.PROTECTED, S.UNMATCHED},
    (Channel.ADMIN, Intent.UNMERGE): {S.LINKED, S.HELD, S.COLLISION, S.UNMATCHED},
    (Channel.ADMIN, Intent.UNLINK): {S.LINKED, S.WAITING, S.HELD, S.COLLISION, S.UNMATCHED},
    (Channel.ADMIN, Intent.UNBIND): {S.LINKED, S.WAITING, S.PROTECTED, S.UNMATCHED},
    (Channel.ADMIN, Intent.DELETE): {S.LINKED, S.WAITING, S.COLLISION, S.PROTECTED, S.UNMATCHED},
    (Channel.ADMIN, Intent.UNDO): {S.LINKED, S.WAITING, S.UNMATCHED},
    (Channel.ADMIN, Intent.DISABLE): {S.LINKED, S.HELD, S.COLLISION, S.UNMATCHED},
    (Channel.ADMIN, Intent.ENABLE): {S.LINKED, S.HELD, S.COLLISION, S.UNMATCHED},
    (Channel.ADMIN, Intent.OVERRIDE): {S.LINKED, S.HELD, S.COLLISION, S.UNMATCHED},
    (Channel.ADMIN, Intent.END_OVERRIDE): {S.LINKED, S.HELD, S.UNMATCHED},
}


def test_every_combination_that_can_occur_has_a_reaction_and_no_other_has():
    assert {(*fact, s) for fact, situations in CAN_OCCUR.items() for s in situations} == set(REACTIONS)
    assert set(NAMINGS) == set(CAN_OCCUR)


@pytest.mark.parametrize(
    "combination",
    [c for c in product(Channel, Intent, Situation) if c not in REACTIONS],
    ids="-".join,
)
def test_a_combination_that_cannot_occur_is_refused_by_its_name(combination):
    channel, intent, situation = combination
    observation = World().observed(channel, intent)
    decision = refuse_by_name(Case(known=Known(), observation=observation, policy=OPEN, situation=situation))
    assert (decision.verdict, decision.reason) == (Verdict.REFUSED, "decision:cannot-occur")
    assert decision.detail == {"channel": channel, "intent": intent, "situation": situation}
    assert decision.changes == ()


@pytest.mark.parametrize("fact", [f for f in product(Channel, Intent) if f not in NAMINGS], ids="-".join)
def test_a_channel_that_wants_what_it_may_not_is_refused(fact):
    world = World()
    decision = world.submit(world.observed(*fact))
    assert (decision.verdict, decision.reason) == (Verdict.REFUSED, "decision:cannot-occur")
