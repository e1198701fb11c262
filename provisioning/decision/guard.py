"""Whether a run may go on without a person. Knows three numbers, and nothing of what they count."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How many people may lose access without a person: `few` always (of few people one leaver is already 20 %),
    else `share` percent of the population, and never more than `most`, whatever the population."""

    few: int = 5
    share: int = 20
    most: int = 500


def judge(limits: Limits, *, destructive: int, population: int) -> str | None:
    """Why a connection's run must wait for a person (row 28), or None.

    `destructive` counts holds and deletions; ended sessions do not count, because their owners may not be there
    anyway. `population` is how many active accounts of people whom nothing holds the
    connection has.
    """
    if too_many := _over(limits, destructive, population):
        return f"{destructive} of {population} people would lose access: {too_many} in one run."
    return None


def judge_together(limits: Limits, *, destructive: int, before: int, population: int) -> str | None:
    """As `judge`, over a tenant: with the `before` whom its other runs took access from within 24 hours."""
    together = destructive + before
    if destructive and (too_many := _over(limits, together, population)):
        return (
            f"With the tenant's other runs {together} of {population} people would lose access: "
            f"{too_many} within 24 hours."
        )
    return None


def judge_of_one(limit: int, *, destructive: int, before: int) -> str | None:
    """Why one person may not let this go on: with the `before` whom the connection's other runs took access from."""
    together = destructive + before
    if together > limit:
        return (
            f"{together} people would lose access within 24 hours: more than {limit}, so that two administrators have "
            "to release it."
        )
    return None


def judge_undo(limit: int, *, taking: int, before: int) -> str | None:
    """As `judge_of_one`, of the `taking` whom an undo takes access from; nobody releases an undo."""
    together = taking + before
    if together > limit:
        return (
            f"{together} people would lose access within 24 hours, and one person's word is enough for {limit} on "
            "this connection. Please take back fewer items, or ask a superuser of the installation to raise the number."
        )
    return None


def _over(limits: Limits, destructive: int, population: int) -> str:
    if destructive > limits.most:
        return f"more than {limits.most}"
    # Whole numbers: a share as a fraction would stop exactly a fifth of some populations.
    if destructive > limits.few and destructive * 100 > limits.share * population:
        return f"more than {limits.few}, and more than {limits.share} %,"
    return ""
