"""Whether a listing that was read to its end is complete, and what is wrong with it if not. Knows no table.

Nothing may be concluded from a listing that lacks somebody: who is not in it would lose access.
"""

from dataclasses import dataclass
from datetime import datetime

from provisioning.decision.reasons import Flaw

SHARE_PERCENT = 20
AT_LEAST = 5
"""A listing is shrunk when it lacks more than both: this share of the last complete one, and this many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Last:
    """The last complete roster of the connection."""

    as_of: datetime
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """What was read. `promised` are the proofs: numbers of rows that somebody or something named."""

    as_of: datetime
    rows: int
    faults: int = 0
    cut: bool = False
    ended: bool = True
    """Whether the last line of a file has its end."""
    duplicates: int = 0
    promised: tuple[int, ...] = ()
    shrinking_accepted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    flaw: Flaw
    sentence: str


def judge(read: Read, last: Last | None) -> Refusal | None:
    """None for a complete listing. The first flaw in the order of these lines is the one that is named."""
    promised = max(read.promised, default=0)
    if read.cut:
        return Refusal(
            flaw=Flaw.TRUNCATED, sentence="The last line is cut off; please export the listing again."
        )
    if read.faults:
        lines = "1 line" if read.faults == 1 else f"{read.faults} lines"
        also = ", and some people stand in it more than once" if read.duplicates else ""
        return Refusal(
            flaw=Flaw.INCOMPLETE,
            sentence=f"{lines} cannot be used{also}; please mend them and give the listing again.",
        )
    if read.rows < promised:
        return Refusal(
            flaw=Flaw.TRUNCATED,
            sentence=f"It has {read.rows} rows, and {promised} were promised; please export the listing again.",
        )
    if not read.ended and read.rows != promised:
        # A file that was cut inside the last cell of a line, or behind it, looks like one that an editor wrote. Taken
        # for whole it would rename one person and miss all who came after.
        return Refusal(
            flaw=Flaw.TRUNCATED,
            sentence="Its last line has no end, so it may be cut; please export it again, or say how many rows it has.",
        )
    if not read.rows:
        return Refusal(flaw=Flaw.EMPTY, sentence="It names nobody; please look at the export's filter.")
    if read.duplicates:
        return Refusal(
            flaw=Flaw.DUPLICATE_ROWS,
            sentence="Some people stand in it more than once; please see to it that every key is there once.",
        )
    if last is None:
        return None
    if read.as_of <= last.as_of:
        return Refusal(
            flaw=Flaw.OLDER,
            sentence=f"A complete roster of {last.as_of:%Y-%m-%d %H:%M} UTC is as new; please give a newer listing.",
        )
    lacking = last.rows - read.rows
    if lacking > AT_LEAST and lacking * 100 > last.rows * SHARE_PERCENT and not read.shrinking_accepted:
        return Refusal(
            flaw=Flaw.SHRUNK,
            sentence=f"It has {read.rows} rows, the last complete one had {last.rows}; please accept that in writing, "
            "or export the listing again.",
        )
    return None
