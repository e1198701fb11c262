"""What a person left out of an earlier run stays out of the next ones while it is the same. Knows no step of a run."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson

from provisioning.models import ReconciliationItem, ReconciliationRun
from provisioning.services.runs import Item

ItemStatus = ReconciliationItem.Status
Same = bytes
"""Two items with one of these are about the same person, for the same cause, and would do the same."""


def run_before(run: ReconciliationRun) -> ReconciliationRun | None:
    """The connection's newest run before this one with a whole plan: what those before it left out is in it, too."""
    runs = ReconciliationRun.objects.filter(tenant_id=run.tenant_id, connection_id=run.connection_id)
    return runs.filter(simulated_at__isnull=False).exclude(pk=run.pk).order_by("-simulated_at").first()


def remembered(before: ReconciliationRun | None, check_name: str) -> dict[Same, str]:
    """What that run left out of one check -> the run of which a person said so."""
    if before is None:
        return {}
    items = ReconciliationItem.objects.filter(
        tenant_id=before.tenant_id, run=before, status=ItemStatus.LEFT_OUT, check_name=check_name
    )
    columns = ("account_id", "identity_id", "evidence", "plan")
    return {
        _same(item): item["evidence"].get("left_out_of", str(before.pk))
        for item in items.values(*columns).iterator(chunk_size=2000)
    }


def kept_out(items: Iterable[Item], known: Mapping[Same, str]) -> list[Item]:
    """The items of a plan; those that a person knows already are left out again."""
    return [_again(item, known) if known and item["status"] == ItemStatus.PLANNED else item for item in items]


def _again(item: Item, known: Mapping[Same, str]) -> Item:
    of = known.get(_same(item))
    if of is None:
        return item
    return {**item, "status": ItemStatus.LEFT_OUT, "evidence": {**item["evidence"], "left_out_of": of}}


def _same(item: Mapping[str, Any]) -> Same:
    """Whom it is about (of somebody new, what the roster says of her), and what would change by name."""
    evidence: Mapping[str, Any] = item["evidence"]
    who = [str(item["account_id"]), str(item["identity_id"]), evidence.get("group"), evidence.get("says")]
    return hashlib.blake2b(orjson.dumps([who, _shape(item["plan"])]), digest_size=16).digest()


def _shape(plan: Sequence[Mapping[str, Any]]) -> list[list[Any]]:
    """Without ids that a simulation makes anew each time."""
    made = {line["identity_id"] for line in plan if line["change"] == "CreateIdentity"}
    return [
        [
            line["change"],
            line.get("kind"),
            sorted(line.get("attributes") or ()),
            sorted(line.get("fields") or ()),
            str(line["identity_id"])
            if line["change"] == "LinkAccount" and line["identity_id"] not in made
            else "",
        ]
        for line in plan
    ]
