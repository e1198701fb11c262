"""What a person left out of an earlier run stays out of the next ones while it is the same. Knows no step of a run."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson
from django.db.models import Exists, OuterRef, Q
from django.db.models.fields.json import KT
from django.db.models.functions import Coalesce, Greatest
from django.db.models.lookups import GreaterThan

from provisioning.models import ReconciliationItem, ReconciliationRun, Roster, RosterRow
from provisioning.selectors.rosters import APART
from provisioning.services.runs import Item

ItemStatus = ReconciliationItem.Status
NEWCOMERS = "roster-new"
"""The check whose items are about nobody who is here: what is told of a row says who it is."""
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


def carried(run: ReconciliationRun, before: ReconciliationRun | None) -> Iterator[Item]:
    """What the run before left out and this one does not come to, as long as its cause may be back by the next night.

    Example: a push makes an account newer than the roster. Not carried is what has settled itself (listed again, not
    listed any more, confirmed, linked, deleted), and about whom this run has something else to do. To be called when
    all else is planned.
    """
    if before is None:
        return
    found = ReconciliationItem.objects.filter(
        tenant_id=run.tenant_id,
        run=run,
        status__in=(ItemStatus.PLANNED, ItemStatus.LEFT_OUT),
    )
    # Whose a waiting account is remains the question, whatever else changes about it.
    of_link, of_newcomer = Q(check_name="waiting"), Q(check_name=NEWCOMERS)
    met = found.filter(account=OuterRef("account"))
    listed = found.annotate(of=KT("evidence__whose")).filter(of=OuterRef("whose"))
    rows = ReconciliationItem.objects.annotate(whose=KT("evidence__whose"))
    items = rows.filter(
        (of_link & ~Exists(met.filter(of_link)))
        | (of_newcomer & ~Exists(listed))
        | (~of_link & ~of_newcomer & ~Exists(met)),
        _may_be_back(run, before),
        tenant_id=run.tenant_id,
        run=before,
        status=ItemStatus.LEFT_OUT,
        account__deleted_at__isnull=True,
    )
    columns = (
        "check_name",
        "account_id",
        "identity_id",
        "situation",
        "reason",
        "destructive",
        "plan",
        "evidence",
    )
    for item in items.order_by("id").values(*columns).iterator(chunk_size=2000):
        evidence = {"left_out_of": str(before.pk), **item["evidence"]}
        if item["check_name"] == NEWCOMERS and run.roster is not None:
            # Missing once is not gone, here as there.
            since = evidence.setdefault("unlisted", run.roster.as_of.isoformat())
            if run.roster.as_of - datetime.fromisoformat(since) >= APART:
                continue
        yield {
            **item,
            "tenant_id": run.tenant_id,
            "run_id": run.pk,
            "row_id": None,
            "inverse": [],
            "status": ItemStatus.LEFT_OUT,
            "evidence": evidence,
        }


def _may_be_back(run: ReconciliationRun, before: ReconciliationRun) -> Q:
    since = before.roster.as_of if before.roster else before.started_at
    rosters = Roster.objects.filter(
        tenant_id=run.tenant_id,
        connection=run.connection_id,
        status=Roster.Status.COMPLETE,
        as_of__gt=since,
    )
    rows = RosterRow.objects.filter(
        tenant_id=run.tenant_id, roster_id__in=list(rosters.values_list("pk", flat=True))
    )
    listed = Exists(rows.filter(external_id=OuterRef("account__external_id"))) | Exists(
        rows.filter(user_name_key=OuterRef("account__user_name_key"))
    )
    unsaid = Q(check_name__in=_SAID_OF_AN_ACCOUNT)
    if run.roster is not None:
        # `AccountFacts.speaks_of`: PostgreSQL's greatest of two passes a null by.
        said = Coalesce("account__as_of", "account__updated_at")
        speaks_of = Greatest(said, "account__spoken_at")
        unsaid &= Q(GreaterThan(speaks_of, run.roster.as_of))
    return (
        (Q(check_name="roster-gone") & ~Q(listed))
        | Q(check_name="unconfirmed", account__confirmed_at__isnull=True)
        | Q(check_name="waiting", account__identity__isnull=True)
        | Q(check_name=NEWCOMERS)
        | unsaid
    )


_SAID_OF_AN_ACCOUNT = (
    "roster-inactive",
    "roster-changed",
    "roster-active",
    "roster-renamed",
    "roster-ambiguous",
)


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
