"""What a figure means: covered, not covered, or nothing that one could say."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from provisioning.decision import posture
from provisioning.decision.posture import (
    Check,
    Cover,
    Figure,
    HeldBy,
    HoldsChanged,
    Judged,
    Revocation,
    duration,
)

COVERED, NOT_COVERED, CANNOT_SAY = Cover.COVERED, Cover.NOT_COVERED, Cover.CANNOT_SAY
AT = datetime(2026, 3, 1, 8, tzinfo=UTC)


@pytest.mark.parametrize(
    ("judge", "nothing"),
    [
        pytest.param(
            posture.jit_lifecycle, COVERED, id="who lets no login make accounts needs no path for them"
        ),
        pytest.param(posture.rosters, CANNOT_SAY, id="no connection says nothing about rosters"),
        pytest.param(posture.stale, CANNOT_SAY, id="nothing pushed says nothing about silence"),
        pytest.param(posture.runs, CANNOT_SAY, id="a new connection has had no night yet"),
        pytest.param(posture.quarantine, CANNOT_SAY, id="no connection says nothing about quarantine"),
        pytest.param(posture.switches, CANNOT_SAY, id="no connection says nothing about switches"),
        pytest.param(posture.unmanaged, CANNOT_SAY, id="nobody says nothing about everybody"),
        pytest.param(posture.unconfirmed, COVERED, id="nobody unconfirmed is nobody late"),
        pytest.param(posture.review, COVERED, id="no finding is no debt"),
        pytest.param(posture.owners, COVERED, id="no token needs no owner"),
        pytest.param(posture.tokens, COVERED, id="no token can end"),
        pytest.param(posture.certificates, COVERED, id="no certificate can end"),
    ],
)
def test_one_is_too_many_and_none_of_some_is_covered(judge: object, nothing: Cover) -> None:
    def cover(number: int, of: int) -> Cover:
        judged: Judged = judge(Figure(number=number, of=of))  # type: ignore[operator]
        assert "{" not in judged.sentence
        return judged.cover

    assert [cover(1, 4), cover(0, 4), cover(0, 0)] == [NOT_COVERED, COVERED, nothing]


@pytest.mark.parametrize(
    ("acts", "joiners", "cover", "shown"),
    [
        pytest.param(5, 9, CANNOT_SAY, "5", id="nine joiners are too few to judge by"),
        pytest.param(1, 10, COVERED, "10 per 100", id="one act for ten is a routine"),
        pytest.param(11, 100, NOT_COVERED, "11 per 100", id="eleven for a hundred are too many"),
        pytest.param(0, 2000, COVERED, "0 per 100", id="none for many is best"),
    ],
)
def test_interventions(acts: int, joiners: int, cover: Cover, shown: str) -> None:
    judged = posture.interventions(Figure(number=acts, of=joiners))
    assert (judged.cover, judged.shown) == (cover, shown)


def gone(sessions: float | None, credentials: float | None = 0.0) -> Revocation:
    return Revocation(
        identity_id=UUID(int=1),
        at=AT,
        sessions=Check(proven=True, seconds=sessions),
        credentials=Check(proven=True, seconds=credentials),
        entitlements=Check(proven=True, seconds=0.0),
    )


STILL_THERE = Revocation(
    identity_id=UUID(int=1),
    at=AT,
    sessions=Check(proven=True, seconds=2.0),
    credentials=Check(proven=False),
    entitlements=Check(proven=True, seconds=0.0),
)


@pytest.mark.parametrize(
    ("revocations", "cover", "shown"),
    [
        pytest.param([], CANNOT_SAY, "none", id="nobody switched off proves nothing"),
        pytest.param([gone(4), STILL_THERE], NOT_COVERED, "1 of 2", id="one credential left is not covered"),
        pytest.param(
            [gone(4), gone(300), gone(2)], COVERED, "5 min", id="the worst counts, five minutes are good"
        ),
        pytest.param([gone(4), gone(301)], NOT_COVERED, "5.02 min", id="a second more is not"),
        pytest.param([gone(4, 7200)], NOT_COVERED, "2 h", id="the slowest check counts"),
        pytest.param([gone(None)], CANNOT_SAY, "proven", id="proven, and nobody kept when"),
        pytest.param([gone(None), gone(4)], COVERED, "4 s", id="what was kept is judged by"),
    ],
)
def test_revocation(revocations: list[Revocation], cover: Cover, shown: str) -> None:
    open_ones = sum(not one.proven for one in revocations)
    judged = posture.revocation(Figure(number=open_ones, of=len(revocations), revocations=revocations))
    assert (judged.cover, judged.shown) == (cover, shown)


def test_the_median_stands_beside_the_worst() -> None:
    found = [gone(1), gone(3), gone(8)]
    assert (
        "8 s at worst, 3 s in the median"
        in posture.revocation(Figure(number=0, of=3, revocations=found)).sentence
    )


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.04 s"), (9, "9 s"), (61, "61 s"), (150, "2.5 min"), (7260, "2.02 h"), (200_000, "2.31 d")],
)
def test_a_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_what_is_not_covered_stands_first() -> None:
    assert sorted(Cover, key=posture.most_urgent_first) == [NOT_COVERED, CANNOT_SAY, COVERED]


SCIM, EXPIRY, ADMIN = ("scim", "1"), ("expiry", "1"), ("admin", None)


def changed(day: int, *, placed: HeldBy | None = None, lifted: HeldBy | None = None) -> HoldsChanged:
    return HoldsChanged(
        at=AT + timedelta(days=day),
        placed={placed} if placed else set(),
        lifted={lifted} if lifted else set(),
    )


@pytest.mark.parametrize(
    ("holds", "told", "day"),
    [
        pytest.param([SCIM], [changed(0, placed=SCIM)], 0, id="one hold began it"),
        pytest.param(
            [SCIM], [changed(7), changed(0, placed=SCIM)], 0, id="what places no hold begins nothing"
        ),
        pytest.param(
            [SCIM],
            [changed(5, placed=SCIM), changed(3, lifted=SCIM), changed(0, placed=SCIM)],
            5,
            id="who was back in between begins anew",
        ),
        pytest.param(
            [SCIM],
            [changed(3, lifted=ADMIN), changed(2, placed=SCIM), changed(0, placed=ADMIN)],
            0,
            id="the second hold came before the first was lifted",
        ),
        pytest.param(
            [SCIM],
            [changed(4, placed=SCIM, lifted=EXPIRY), changed(0, placed=EXPIRY)],
            0,
            id="one hold went as the other came",
        ),
        pytest.param([SCIM, ADMIN], [changed(4, placed=ADMIN)], None, id="it began before what is told"),
    ],
)
def test_since_when_somebody_is_held(holds: list[HeldBy], told: list[HoldsChanged], day: int | None) -> None:
    assert posture.held_since(holds, told) == (None if day is None else AT + timedelta(days=day))
