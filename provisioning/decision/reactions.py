"""The table: which reaction follows from which situation. Knows no rule of its own."""

from collections.abc import Callable

from .acts import (
    close_finding,
    end_inactive,
    lift_hold,
    link_by_hand,
    place_hold,
    relink,
    separate,
    unbind,
    unlink,
)
from .answers import leave_identity, refuse, refused
from .listings import (
    adopt_listed,
    create_protected_or_leave,
    keep_newer,
    leave_deleted,
    refuse_listed,
    write_listed,
)
from .logins import (
    admit,
    create_by_login,
    dispute_login,
    link_by_login,
    refuse_contradiction,
    refuse_deleted,
    refuse_held,
    refuse_protected_login,
    refuse_waiting,
    wait_by_login,
)
from .merges import merge, unmerge
from .overrides import end_override, set_override
from .pushes import (
    adopt,
    answer_stale,
    create,
    create_linked,
    create_returned,
    create_waiting,
    delete,
    delete_protected,
    delete_waiting,
    reactivate,
    refuse_collision,
    write,
    write_protected,
    write_waiting,
)
from .reasons import Reason
from .runs import end_sessions, expire, hold_missing, leave_account, match_late, spare
from .situations import Case
from .types import Channel, Decision, Intent, Situation
from .undo import undo

Reaction = Callable[[Case], Decision]

S = Situation

_SCIM_WRITE: dict[Situation, Reaction] = {
    S.LINKED: write,
    S.WAITING: write_waiting,
    S.ADOPTABLE: adopt,
    S.PROTECTED: write_protected,
    S.COLLISION: refuse_collision,
    S.STALE: answer_stale,
    S.UNMATCHED: refuse,
}

_ROSTER_ROW: dict[Situation, Reaction] = {
    S.LINKED: write_listed,
    S.WAITING: write_listed,
    S.ADOPTABLE: adopt_listed,
    S.PROTECTED: leave_account,
    S.COLLISION: refuse_listed,
    S.STALE: keep_newer,
    S.UNMATCHED: refuse,
}


def _of_a_roster(listed: Reaction, *, stored: Reaction) -> Reaction:
    """A run asks about stored facts, and a roster speaks, in the same words: only a roster's word has a moment."""
    return lambda case: (stored if case.observation.as_of is None else listed)(case)


_BY_FACT: dict[tuple[Channel, Intent], dict[Situation, Reaction]] = {
    (Channel.SCIM, Intent.CREATE): {
        S.UNMATCHED: create,
        S.RECYCLED: create,
        S.UNLINKED: create_linked,
        S.DELETED: create_returned,
        S.WEAK: create_waiting,
        S.DISPUTED: create_waiting,
        S.PROTECTED: create_waiting,
        S.ADOPTABLE: adopt,
        S.INACTIVE: reactivate,
        S.COLLISION: refuse_collision,
    },
    (Channel.SCIM, Intent.UPDATE): _SCIM_WRITE,
    (Channel.SCIM, Intent.ENABLE): _SCIM_WRITE,
    (Channel.SCIM, Intent.DISABLE): _SCIM_WRITE,
    (Channel.SCIM, Intent.DELETE): {
        S.LINKED: delete,
        S.WAITING: delete_waiting,
        S.PROTECTED: delete_protected,
        S.STALE: answer_stale,
        S.UNMATCHED: refuse,
    },
    (Channel.SAML, Intent.AUTHENTICATE): {
        S.LINKED: admit,
        S.UNMATCHED: create_by_login,
        S.UNLINKED: link_by_login,
        S.WEAK: wait_by_login,
        S.DISPUTED: dispute_login,
        S.WAITING: refuse_waiting,
        S.HELD: refuse_held,
        S.DELETED: refuse_deleted,
        S.COLLISION: refuse_contradiction,
        S.PROTECTED: refuse_protected_login,
        S.UNUSABLE: refuse,
    },
    (Channel.ROSTER, Intent.CREATE): {
        **_ROSTER_ROW,
        S.UNMATCHED: create,
        S.RECYCLED: create,
        S.UNLINKED: create_linked,
        S.WEAK: create_waiting,
        S.DISPUTED: create_waiting,
        S.PROTECTED: create_protected_or_leave,
        S.DELETED: leave_deleted,
    },
    (Channel.ROSTER, Intent.UPDATE): {
        **_ROSTER_ROW,
        S.WAITING: _of_a_roster(write_listed, stored=match_late),
        S.LINKED: _of_a_roster(write_listed, stored=leave_account),
    },
    (Channel.ROSTER, Intent.ENABLE): _ROSTER_ROW,
    (Channel.ROSTER, Intent.DISABLE): {
        **_ROSTER_ROW,
        S.HELD: end_sessions,
        S.LINKED: _of_a_roster(write_listed, stored=leave_identity),
    },
    (Channel.ROSTER, Intent.ABSENT): {
        S.ADOPTABLE: expire,
        # An account that somebody confirmed meanwhile is not missing for that.
        S.LINKED: _of_a_roster(hold_missing, stored=leave_account),
        S.STALE: keep_newer,
        S.WAITING: leave_account,
        S.PROTECTED: spare,
        S.UNMATCHED: refuse,
    },
    (Channel.ADMIN, Intent.CREATE): {
        S.WAITING: separate,
        S.LINKED: close_finding,
        S.UNMATCHED: refuse,
    },
    (Channel.ADMIN, Intent.UPDATE): {
        S.WAITING: link_by_hand,
        S.MISPLACED: relink,
        S.LINKED: close_finding,
        S.COLLISION: refuse,
        S.HELD: refuse,
        S.PROTECTED: refuse,
        S.UNMATCHED: refuse,
    },
    (Channel.ADMIN, Intent.UNLINK): {
        S.LINKED: unlink,
        S.WAITING: leave_account,
        S.COLLISION: refuse,
        S.HELD: refuse,
        S.UNMATCHED: refuse,
    },
    (Channel.ADMIN, Intent.UNBIND): {
        S.LINKED: unbind,
        S.WAITING: unbind,
        S.PROTECTED: refuse,
        S.UNMATCHED: refuse,
    },
    (Channel.ADMIN, Intent.DELETE): {
        S.LINKED: end_inactive,
        S.WAITING: end_inactive,
        S.COLLISION: refuse,
        S.PROTECTED: refuse,
        S.UNMATCHED: refuse,
    },
    (Channel.ADMIN, Intent.MERGE): {
        S.LINKED: merge,
        S.HELD: merge,
        S.COLLISION: refuse,
        S.PROTECTED: refuse,
        S.UNMATCHED: refuse,
    },
    (Channel.ADMIN, Intent.UNMERGE): {
        S.LINKED: unmerge,
        S.HELD: unmerge,
        S.COLLISION: refuse,
        S.UNMATCHED: refuse,
    },
    (Channel.ADMIN, Intent.UNDO): {
        S.LINKED: undo,
        S.WAITING: undo,
        S.UNMATCHED: refuse,
    },
    (Channel.ADMIN, Intent.DISABLE): {
        S.LINKED: place_hold,
        S.HELD: place_hold,
        S.COLLISION: refuse,
        S.UNMATCHED: refuse,
    },
    (Channel.ADMIN, Intent.ENABLE): {
        S.LINKED: lift_hold,
        S.HELD: lift_hold,
        S.COLLISION: refuse,
        S.UNMATCHED: refuse,
    },
    (Channel.ADMIN, Intent.OVERRIDE): {
        S.LINKED: set_override,
        S.HELD: set_override,
        S.COLLISION: refuse,
        S.UNMATCHED: refuse,
    },
    (Channel.ADMIN, Intent.END_OVERRIDE): {
        S.LINKED: end_override,
        S.HELD: end_override,
        S.UNMATCHED: refuse,
    },
}

REACTIONS: dict[tuple[Channel, Intent, Situation], Reaction] = {
    (channel, intent, situation): reaction
    for (channel, intent), reactions in _BY_FACT.items()
    for situation, reaction in reactions.items()
}


def refuse_by_name(case: Case) -> Decision:
    """No rule speaks of this combination: say which one it is, and change nothing."""
    return refused(
        case,
        Reason.DECISION_CANNOT_OCCUR,
        [],
        channel=case.observation.channel.value,
        intent=case.observation.intent.value,
        situation=case.situation.value,
    )
