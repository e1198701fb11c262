"""Whether a run may go on without a person. Knows two numbers, and nothing of what they count."""

FEW = 5
"""A run may always do so much: in a small connection one leaver is already 20 %."""
SHARE = 0.2
MOST = 500


def judge(*, destructive: int, population: int) -> str | None:
    """Why the run must wait for a person (row 28), or None.

    `destructive` counts holds and deletions; ended sessions do not count, because their owners may not be there
    anyway. `population` is how many live accounts the connection has.
    """
    if destructive > MOST:
        return f"{destructive} people would lose access: more than {MOST} in one run."
    if destructive > max(FEW, SHARE * population):
        return f"{destructive} of {population} people would lose access: more than {SHARE:.0%} in one run."
    return None
