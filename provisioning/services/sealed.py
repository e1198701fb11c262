"""Everything sealed that the hub keeps, sealed anew together. A face that keeps some says so; knows no face."""

from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet

from identity_hub.core.sealing import Unopenable, reseal
from provisioning.models import RosterSource

_kept: list[QuerySet[Any]] = [RosterSource.objects.all()]


def register(rows: QuerySet[Any]) -> None:
    """Rows of every tenant whose `sealed` is sealed for their own key."""
    _kept.append(rows)


def reseal_everything() -> tuple[int, list[UUID]]:
    """Seals by the first of CREDENTIAL_KEYS: how many, and the rows that none of them opens."""
    done, closed = 0, []
    for rows in _kept:
        for pk in list(rows.order_by("pk").values_list("pk", flat=True)):
            with transaction.atomic():
                row = rows.select_for_update(no_key=True).filter(pk=pk).first()
                if row is None:
                    continue
                try:
                    row.sealed = reseal(row.sealed, for_row=str(row.pk))
                except Unopenable:
                    closed.append(row.pk)
                    continue
                row.save(update_fields=["sealed"])
                done += 1
    return done, closed
