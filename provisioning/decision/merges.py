"""What follows when two identities turn out to be one person, or two after all. Knows no table that names them."""

from dataclasses import replace

from .answers import accepted
from .duplicates import duplicates
from .effects import fold, needed, show, showing
from .reasons import Reason
from .situations import OF_ACCOUNTS, Case
from .types import (
    AccountFacts,
    Change,
    CloseFinding,
    Decision,
    EndSessions,
    Folded,
    IdentityFacts,
    Merge,
    MergeIdentities,
    UnmergeIdentities,
)


def merge(case: Case) -> Decision:
    """Row 36: all that the one had the other has from now on; of two holds the stricter wins, which is both."""
    winner, loser = _both(case)
    accounts = {account.id: account for account in (*winner.accounts, *loser.accounts)}
    changes: list[Change] = []
    folded = []
    for found in needed(duplicates(winner.accounts, loser.accounts), "duplicates"):
        kept, ended = fold(case, found, winner.id)
        changes += ended
        del accounts[found.login.id]
        accounts[kept.id] = kept
        lifted = {
            hold.kind
            for hold in (*winner.holds, *loser.holds)
            if hold.source_account_id == found.login.id and hold.kind in OF_ACCOUNTS
        }
        folded.append(
            Folded(login_account_id=found.login.id, account_id=kept.id, lifted=tuple(sorted(lifted)))
        )
    changes += [
        MergeIdentities(
            merge_id=needed(case.observation.merge, "merge").id,
            identity_id=winner.id,
            former_identity_id=loser.id,
            folded=tuple(folded),
        ),
        *(show(winner, [replace(a, identity_id=winner.id) for a in accounts.values()]) if accounts else []),
        EndSessions(identity_id=loser.id),
    ]
    if loser.holds:
        # Nobody who is held keeps a session.
        changes.append(EndSessions(identity_id=winner.id))
    if finding_id := case.observation.finding_id:
        changes.append(CloseFinding(finding_id=finding_id, approved=True))
    return accepted(case, Reason.IDENTITY_MERGED, changes, None, winner)


def unmerge(case: Case) -> Decision:
    """Each has again what the merge had found there; what came since stays where it came to, and holds stay on both."""
    winner, loser = _both(case)
    record = needed(case.observation.merge, "merge")
    returning = [a for a in winner.accounts if a.id in record.accounts]
    staying = [a for a in winner.accounts if a.id not in record.accounts]
    changes: list[Change] = [
        UnmergeIdentities(merge_id=record.id, identity_id=winner.id, former_identity_id=loser.id),
        *_shown_again(winner, staying, record),
        *_shown_again(loser, returning, record),
        EndSessions(identity_id=winner.id),
        EndSessions(identity_id=loser.id),
    ]
    return accepted(case, Reason.IDENTITY_UNMERGED, changes, None, winner)


def _shown_again(identity: IdentityFacts, accounts: list[AccountFacts], record: Merge) -> list[Change]:
    """What its own accounts say; where none lives, what is left to say of it alone, and never what the other's say."""
    if accounts:
        return show(identity, accounts)
    said = record.ended.get(identity.id)
    return showing(identity, said, identity.overrides) if said else []


def _both(case: Case) -> tuple[IdentityFacts, IdentityFacts]:
    named = (case.observation.target_identity_id, case.observation.former_identity_id)
    winner, loser = (case.known.identities[needed(key, "identity")] for key in named)
    return winner, loser
