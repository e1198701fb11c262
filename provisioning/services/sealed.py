"""Everything sealed that the hub keeps, sealed anew together. A face that keeps some says so; knows no face."""

from collections.abc import Callable
from uuid import UUID

from .roster_sources import reseal_credentials

Reseal = Callable[[], tuple[int, list[UUID]]]
"""Seals by the first of CREDENTIAL_KEYS: how many, and the rows that none of them opens."""

_kept: list[Reseal] = [reseal_credentials]


def register(reseal: Reseal) -> None:
    _kept.append(reseal)


def reseal_everything() -> tuple[int, list[UUID]]:
    done, closed = 0, []
    for reseal in _kept:
        number, unopenable = reseal()
        done += number
        closed += unopenable
    return done, closed
