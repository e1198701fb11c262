"""Whether a tenant's people are looked after from their first day to their last. Judges figures; knows no database and
no clock."""

from collections.abc import Collection, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from statistics import median
from typing import TypeAlias
from uuid import UUID


class Cover(StrEnum):
    COVERED = "covered"
    NOT_COVERED = "not-covered"
    CANNOT_SAY = "cannot-say"


ROSTER_WITHIN = timedelta(days=35)
RUN_WITHIN = timedelta(days=2)
"""Two nights: one may be missed."""
STALE_AFTER = timedelta(days=30)
"""Where a connection names no number of days of its own."""
ENDS_SOON = timedelta(days=30)
LOOK_BACK = timedelta(days=30)
JOINERS_TO_JUDGE_BY = 10
INTERVENTIONS_PER_100 = 10
REVOKED_WITHIN = timedelta(minutes=5)
ORDERED_WITHIN = timedelta(minutes=1)
"""What follows from a deactivation is ordered in its transaction, a little after the moment that it speaks of."""
DEACTIVATIONS_LOOKED_AT = 50

HeldBy: TypeAlias = tuple[str, str | None]
"""A hold of somebody: its kind, and the id of the account that it comes from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """A row that a figure is about: a connection or a run by its name, a person by the id alone."""

    kind: str
    id: UUID
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """`seconds` after the deactivation it was proven; None where it is not proven, or nobody kept when."""

    proven: bool
    seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Revocation:
    """One deactivation, and what has been seen of its effect."""

    identity_id: UUID
    at: datetime
    sessions: Check
    credentials: Check
    entitlements: Check

    @property
    def checks(self) -> tuple[Check, ...]:
        return (self.sessions, self.credentials, self.entitlements)

    @property
    def proven(self) -> bool:
        return all(check.proven for check in self.checks)

    @property
    def seconds(self) -> float | None:
        """How long the slowest took; None while one is open, or where nobody kept when."""
        took = [check.seconds for check in self.checks]
        if not self.proven or None in took:
            return None
        return max(second for second in took if second is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldsChanged:
    """What one record tells of somebody's holds."""

    at: datetime
    placed: Set[HeldBy]
    lifted: Set[HeldBy]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """What a question found: `number` are not as they should be, of the `of` that were looked at."""

    number: int
    of: int
    cases: Sequence[Named] = ()
    """The first of them."""
    parts: Mapping[str, int] = field(default_factory=dict)
    """How the number, or what it is taken of, is made up."""
    revocations: Sequence[Revocation] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    cover: Cover
    shown: str
    """The number, as a page shows it: `2 of 5`, `3.1 per 100`, `9 s`."""
    sentence: str


def _left_out(figure: Figure, *, covered: str, open: str, nothing: tuple[Cover, str]) -> Judged:
    """Covered where nothing is left out. The sentences take `number` and `of`."""
    if not figure.of:
        cover, sentence = nothing
        return Judged(cover=cover, shown="none", sentence=sentence)
    cover = Cover.NOT_COVERED if figure.number else Cover.COVERED
    said = (open if figure.number else covered).format(number=f"{figure.number:,}", of=f"{figure.of:,}")
    return Judged(cover=cover, shown=f"{figure.number:,} of {figure.of:,}", sentence=said)


def jit_lifecycle(figure: Figure) -> Judged:
    return _left_out(
        figure,
        covered="Wherever logins make accounts, SCIM or a roster says who has left. Connections: {of}.",
        open="Logins make accounts, and nothing ever says who has left.",
        nothing=(Cover.COVERED, "No connection lets a login make an account."),
    )


def rosters(figure: Figure) -> Judged:
    return _left_out(
        figure,
        covered="Each connection gave a complete listing within 35 days. Connections: {of}.",
        open="No complete listing for 35 days, so nobody notices who is missing.",
        nothing=(Cover.CANNOT_SAY, "No connection is in use yet."),
    )


def stale(figure: Figure) -> Judged:
    return _left_out(
        figure,
        covered="Each connection that pushes has pushed lately. Connections: {of}.",
        open="It used to push, and has been silent for longer than its own limit.",
        nothing=(Cover.CANNOT_SAY, "No connection has pushed anybody yet."),
    )


def runs(figure: Figure) -> Judged:
    return _left_out(
        figure,
        covered="A run was finished on each connection within two days. Connections: {of}.",
        open="No run was finished for two days.",
        nothing=(Cover.CANNOT_SAY, "No connection has been in use for two days yet."),
    )


def quarantine(figure: Figure) -> Judged:
    return _left_out(
        figure,
        covered="No run waits in quarantine.",
        open="The guard stopped a run, and the connection has had none since.",
        nothing=(Cover.CANNOT_SAY, "No connection is in use yet."),
    )


def switches(figure: Figure) -> Judged:
    return _left_out(
        figure,
        covered="Nothing is switched off by hand. Connections: {of}.",
        open="Kill switches are in force.",
        nothing=(Cover.CANNOT_SAY, "There is no connection yet."),
    )


def unmanaged(figure: Figure) -> Judged:
    return _left_out(
        figure,
        covered="SCIM or a roster vouches for everybody who may sign in. People: {of}.",
        open="{number} of {of} people may sign in although no directory vouches for them.",
        nothing=(Cover.CANNOT_SAY, "Nobody may sign in yet."),
    )


def unconfirmed(figure: Figure) -> Judged:
    return _left_out(
        figure,
        covered="No account that a login made is older than its grace. Unconfirmed: {of}.",
        open="{number} of {of} unconfirmed accounts are older than their grace and still open the door.",
        nothing=(Cover.COVERED, "The directory has confirmed every account."),
    )


def review(figure: Figure) -> Judged:
    return _left_out(
        figure,
        covered="Every finding is within its time. Open: {of}.",
        open="{number} of {of} open findings are overdue.",
        nothing=(Cover.COVERED, "Nothing waits for a decision."),
    )


def owners(figure: Figure) -> Judged:
    return _left_out(
        figure,
        covered="Somebody who may sign in answers for each of {of} SCIM tokens and clients.",
        open="Nobody who may sign in answers for {number} of {of} SCIM tokens and clients.",
        nothing=(Cover.COVERED, "There is no SCIM token and no client."),
    )


def tokens(figure: Figure) -> Judged:
    return _left_out(
        figure,
        covered="No SCIM token ends within 30 days without a successor in use. Tokens: {of}.",
        open="{number} of {of} SCIM tokens end within 30 days, and no successor is in use.",
        nothing=(Cover.COVERED, "There is no SCIM token that could end."),
    )


def certificates(figure: Figure) -> Judged:
    return _left_out(
        figure,
        covered="No certificate and no metadata of an identity provider ends within 30 days. Connections: {of}.",
        open="The last certificate or the metadata ends within 30 days, and nobody signs in afterwards.",
        nothing=(Cover.COVERED, "Nobody signs in by SAML yet."),
    )


def interventions(figure: Figure) -> Judged:
    """`number` acts of people, `of` joiners."""
    if figure.of < JOINERS_TO_JUDGE_BY:
        return Judged(
            cover=Cover.CANNOT_SAY,
            shown=f"{figure.number:,}",
            sentence=f"{figure.number:,} acts by hand, and {figure.of:,} people joined within 30 days: too few to "
            "judge by.",
        )
    rate = 100 * figure.number / figure.of
    good = rate <= INTERVENTIONS_PER_100
    return Judged(
        cover=Cover.COVERED if good else Cover.NOT_COVERED,
        shown=f"{rate:.3g} per 100",
        sentence=f"{figure.number:,} acts by hand for {figure.of:,} people who joined within 30 days; "
        f"{'up to' if good else 'more than'} {INTERVENTIONS_PER_100} per 100 "
        f"{'is a routine that runs by itself.' if good else 'means that people do what rules should.'}",
    )


def held_since(holds: Collection[HeldBy], told: Iterable[HoldsChanged]) -> datetime | None:
    """Since when somebody who is held so has been held without a gap; None where what is told begins later.

    `told` is what happened, newest first: each step is taken back until no hold is left.
    """
    left = set(holds)
    for one in told:
        left = (left - one.placed) | one.lifted
        if not left:
            return one.at
    return None


def revocation(figure: Figure) -> Judged:
    found = figure.revocations
    if not found:
        return Judged(
            cover=Cover.CANNOT_SAY,
            shown="none",
            sentence="Nobody was switched off within 30 days.",
        )
    if figure.number:
        return Judged(
            cover=Cover.NOT_COVERED,
            shown=f"{figure.number:,} of {figure.of:,}",
            sentence=f"{figure.number:,} of the last {figure.of:,} people who were switched off still have a session, "
            "a credential or an entitlement.",
        )
    took = [one.seconds for one in found if one.seconds is not None]
    if not took:
        return Judged(
            cover=Cover.CANNOT_SAY,
            shown="proven",
            sentence=f"The last {figure.of:,} people who were switched off have nothing left; how soon, was not kept.",
        )
    worst = max(took)
    return Judged(
        cover=Cover.COVERED if worst <= REVOKED_WITHIN.total_seconds() else Cover.NOT_COVERED,
        shown=duration(worst),
        sentence=f"The last {figure.of:,} people who were switched off have nothing left: proven after "
        f"{duration(worst)} at worst, {duration(median(took))} in the median; five minutes are allowed.",
    )


def duration(seconds: float) -> str:
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"


def most_urgent_first(cover: Cover) -> int:
    return (Cover.NOT_COVERED, Cover.CANNOT_SAY, Cover.COVERED).index(cover)
