"""A run's plan as a person reads it: page by page, by what it is about, the most privileged first. Knows no page.

Values of people are looked up where they are stored when somebody reads them; an item holds none.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import Count, Q, QuerySet

from provisioning import sql
from provisioning.decision.authority import profile_of_resource
from provisioning.decision.types import PROFILE_FIELDS
from provisioning.models import (
    Account,
    AuditValue,
    DirectoryGroup,
    Finding,
    Hold,
    Identity,
    ReconciliationItem,
    ReconciliationRun,
    RosterRow,
)
from provisioning.selectors.timeline import HOLD_KINDS, in_words, meaning

PAGE = 50
PRIVILEGED_SHOWN = 20
PRIVILEGED_LOOKED_AT = 500
"""Of the people whom a run concerns, those whose groups are counted: the first by their entitlements."""
PRIVILEGED_COUNTED = 20_000
"""Items whose people's entitlements are counted, those that take access away first."""
CHUNK = 2000

FILTERS = ("check_name", "situation", "reason", "status", "destructive")
"""By which columns a plan is filtered."""


def items(run: ReconciliationRun, wanted: Mapping[str, str]) -> QuerySet[ReconciliationItem]:
    """Those of a run that have what is wanted; a filter that is empty or unknown asks for nothing."""
    rows = ReconciliationItem.objects.filter(tenant_id=run.tenant_id, run=run)
    for name in FILTERS:
        if value := wanted.get(name):
            rows = rows.filter(**{name: value == "yes" if name == "destructive" else value})
    return rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Some items in the order of their ids; `before` and `after` are where the pages beside it begin, if any."""

    items: Sequence[ReconciliationItem]
    before: int | None = None
    after: int | None = None


def page(rows: QuerySet[ReconciliationItem], *, after: int | None = None, before: int | None = None) -> Page:
    """By key and not by number, so that the last page of a hundred thousand items costs what the first does."""
    rows = rows.select_related("account", "identity")
    if before is not None:
        found = list(rows.filter(pk__lt=before).order_by("-id")[: PAGE + 1])
        shown, more = list(reversed(found[:PAGE])), len(found) > PAGE
        return Page(
            items=shown,
            before=shown[0].pk if shown and more else None,
            after=shown[-1].pk if shown else None,
        )
    found = list((rows.filter(pk__gt=after) if after is not None else rows).order_by("id")[: PAGE + 1])
    shown = found[:PAGE]
    return Page(
        items=shown,
        before=shown[0].pk if shown and after is not None else None,
        after=shown[-1].pk if len(found) > PAGE else None,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Facets:
    """How many items a run has for each value of each column that one filters by, and how many are shown."""

    numbers: Mapping[str, Mapping[str, int]]
    shown: int
    total: int


def facets(run: ReconciliationRun, wanted: Mapping[str, str]) -> Facets:
    """In one statement: the combinations that occur are few, however many the items are."""
    counted = (
        ReconciliationItem.objects.filter(tenant_id=run.tenant_id, run=run)
        .order_by()
        .values_list(*FILTERS)
        .annotate(number=Count("pk"))
    )
    numbers: dict[str, Counter[str]] = {name: Counter() for name in FILTERS}
    shown = total = 0
    for *values, number in counted:
        said = {
            name: ("yes" if value else "no") if name == "destructive" else value
            for name, value in zip(FILTERS, values, strict=True)
        }
        total += number
        if all(said[name] == wanted[name] for name in FILTERS if wanted.get(name)):
            shown += number
        for name, value in said.items():
            # What the other filters leave of it, so that a choice says what it would show.
            if all(said[other] == wanted[other] for other in FILTERS if other != name and wanted.get(other)):
                numbers[name][value] += number
    return Facets(numbers=numbers, shown=shown, total=total)


@dataclass(frozen=True, slots=True, kw_only=True)
class Privileged:
    """Somebody whom a run concerns and who may do much. `item_id` is the run's first item about the person."""

    identity_id: UUID
    item_id: int
    staff: int
    """Entitlements that let one administer the tenant, and the flag of a local administrator."""
    entitlements: int
    groups: int


# Derived as `EntitlementQuerySet.of_identity` derives it for one person. Whoever administers is found among all whom
# a plan concerns; the others are counted among its first, because counting a million memberships takes seconds.
_PRIVILEGED = """
WITH planned AS (
    SELECT identity_id, id, destructive FROM provisioning_reconciliationitem
     WHERE tenant_id = %(tenant)s AND run_id = %(run)s AND identity_id IS NOT NULL
       AND status IN ('planned', 'applied')
), asserting AS (
    SELECT s.identity_id, g.entitlement_id FROM provisioning_connection n
      JOIN provisioning_assertedgroup g ON g.tenant_id = n.tenant_id AND g.connection_id = n.id
      JOIN provisioning_account s ON s.tenant_id = n.tenant_id AND s.connection_id = n.id
       AND s.deleted_at IS NULL AND s.active AND jsonb_exists(s.assertion -> 'groups', g.value)
     WHERE n.tenant_id = %(tenant)s AND n.group_attribute <> '' AND s.identity_id IS NOT NULL
       AND (s.confirmed_at IS NOT NULL OR n.groups_unconfirmed)
       AND NOT EXISTS (SELECT FROM provisioning_directorygroup d
                        WHERE d.tenant_id = n.tenant_id AND d.connection_id = n.id)
), flagged AS (
    SELECT id FROM provisioning_identity WHERE tenant_id = %(tenant)s AND local AND is_tenant_administrator
), administering AS (
    SELECT a.identity_id FROM provisioning_entitlement e
      JOIN provisioning_entitlementmapping m ON m.tenant_id = e.tenant_id AND m.entitlement_id = e.id
      JOIN provisioning_membership ms ON ms.tenant_id = m.tenant_id AND ms.group_id = m.group_id
      JOIN provisioning_account a ON a.tenant_id = ms.tenant_id AND a.id = ms.account_id
     WHERE e.tenant_id = %(tenant)s AND e.grants_staff AND a.deleted_at IS NULL AND a.active
    UNION
    SELECT s.identity_id FROM asserting s
      JOIN provisioning_entitlement e ON e.tenant_id = %(tenant)s AND e.id = s.entitlement_id AND e.grants_staff
    UNION
    SELECT id FROM flagged
), concerned AS (
    SELECT identity_id, min(id) AS item_id FROM (
        (SELECT identity_id, id FROM planned ORDER BY destructive DESC, id LIMIT %(counted)s)
        UNION ALL
        SELECT p.identity_id, p.id FROM planned p JOIN administering USING (identity_id)) first
     GROUP BY identity_id
), given AS (
    SELECT c.identity_id, m.entitlement_id FROM concerned c
      JOIN provisioning_account a ON a.tenant_id = %(tenant)s AND a.identity_id = c.identity_id
       AND a.deleted_at IS NULL AND a.active
      JOIN provisioning_membership ms ON ms.tenant_id = a.tenant_id AND ms.account_id = a.id
      JOIN provisioning_entitlementmapping m ON m.tenant_id = ms.tenant_id AND m.group_id = ms.group_id
    UNION
    SELECT c.identity_id, s.entitlement_id FROM concerned c JOIN asserting s USING (identity_id)
), ranked AS (
    SELECT c.identity_id, c.item_id,
           count(e.id) FILTER (WHERE e.grants_staff) + (f.id IS NOT NULL)::int AS staff,
           count(e.id) AS entitlements
      FROM concerned c
      LEFT JOIN flagged f ON f.id = c.identity_id
      LEFT JOIN given g ON g.identity_id = c.identity_id
      LEFT JOIN provisioning_entitlement e ON e.tenant_id = %(tenant)s AND e.id = g.entitlement_id
     GROUP BY c.identity_id, c.item_id, f.id
     ORDER BY staff DESC, entitlements DESC, c.item_id LIMIT %(looked_at)s
)
SELECT r.identity_id, r.item_id, r.staff, r.entitlements,
       (SELECT count(*) FROM provisioning_account a
          JOIN provisioning_membership ms ON ms.tenant_id = a.tenant_id AND ms.account_id = a.id
         WHERE a.tenant_id = %(tenant)s AND a.identity_id = r.identity_id AND a.deleted_at IS NULL) AS groups
  FROM ranked r
 ORDER BY r.staff DESC, r.entitlements DESC, groups DESC, r.item_id LIMIT %(shown)s
"""


def most_privileged(run: ReconciliationRun) -> list[Privileged]:
    """The people with most to lose: by what administers the tenant, then by entitlements, then by groups."""
    rows = sql.rows(
        _PRIVILEGED,
        {
            "tenant": run.tenant_id,
            "run": run.pk,
            "counted": PRIVILEGED_COUNTED,
            "looked_at": PRIVILEGED_LOOKED_AT,
            "shown": PRIVILEGED_SHOWN,
        },
        prepared=False,
    )
    return [
        Privileged(identity_id=row[0], item_id=row[1], staff=row[2], entitlements=row[3], groups=row[4])
        for row in rows
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One thing that an item changes, before and after, in words."""

    what: str
    before: str = ""
    after: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """What is stored of the things that some items speak of."""

    rows: Mapping[int, RosterRow]
    told: Mapping[int, Mapping[str, Any]]
    groups: Mapping[str, str]
    people: Mapping[str, Identity]
    held: Mapping[UUID, list[str]]


def sides(run: ReconciliationRun, shown: Sequence[ReconciliationItem]) -> dict[int, list[Side]]:
    """Item -> what it changes. Values come from the rows of the run's tenant; once executed, from its audit."""
    known = _known(run, shown)
    return {item.pk: list(_told(item, known)) for item in shown}


def newcomers(run: ReconciliationRun, shown: Sequence[ReconciliationItem]) -> dict[int, str]:
    """Item -> who it is about, as the roster says, where no account and no person is there yet."""
    lines = {
        item.row_id: item.pk
        for item in shown
        if item.row_id is not None and item.account_id is None and item.identity_id is None
    }
    rows = RosterRow.objects.filter(tenant_id=run.tenant_id, roster_id=run.roster_id, pk__in=lines)
    return {lines[row.pk]: _called(row) for row in rows} if lines else {}


def _called(row: RosterRow) -> str:
    profile = profile_of_resource(row.document)
    name = profile.display_name or f"{profile.given_name} {profile.family_name}".strip()
    return f"{name}, {row.user_name}" if name and row.user_name else name or row.user_name


def findings_of(run: ReconciliationRun, shown: Sequence[ReconciliationItem]) -> dict[int, UUID]:
    """Item -> an open finding about its account or its person."""
    accounts = {item.account_id for item in shown if item.account_id}
    identities = {item.identity_id for item in shown if item.identity_id}
    about: dict[UUID, UUID] = {}
    for finding in Finding.objects.filter(
        Q(account__in=accounts) | Q(identity__in=identities),
        tenant_id=run.tenant_id,
        status=Finding.Status.OPEN,
    ).order_by("-opened_at")[: 4 * PAGE]:
        for key in (finding.account_id, finding.identity_id):
            if key is not None:
                about.setdefault(key, finding.pk)
    return {
        item.pk: found
        for item in shown
        if (found := about.get(item.account_id) or about.get(item.identity_id)) is not None
    }


def _known(run: ReconciliationRun, shown: Sequence[ReconciliationItem]) -> _Known:
    lines = [line for item in shown for line in item.plan]
    named = {str(line[key]) for line in lines for key in ("identity_id",) if line.get(key)}
    held: dict[UUID, list[str]] = defaultdict(list)
    for identity_id, kind in (
        Hold.objects.filter(
            tenant_id=run.tenant_id, identity__in={item.identity_id for item in shown if item.identity_id}
        )
        .order_by("kind")
        .values_list("identity_id", "kind")
        .distinct()
    ):
        held[identity_id].append(kind)
    return _Known(
        rows=RosterRow.objects.filter(tenant_id=run.tenant_id, roster_id=run.roster_id).in_bulk(
            [item.row_id for item in shown if item.row_id is not None]
        ),
        told=dict(
            AuditValue.objects.filter(
                tenant_id=run.tenant_id, pk__in=[item.audit_id for item in shown if item.audit_id]
            ).values_list("record_id", "values")
        ),
        groups={
            str(group_id): name
            for group_id, name in DirectoryGroup.objects.filter(
                tenant_id=run.tenant_id,
                pk__in={line["group_id"] for line in lines if line.get("group_id")},
            ).values_list("pk", "display_name")
        },
        people={str(row.pk): row for row in Identity.objects.filter(tenant_id=run.tenant_id, pk__in=named)},
        held=held,
    )


def _told(item: ReconciliationItem, known: _Known) -> Iterator[Side]:
    values = known.told.get(item.audit_id or 0, {})
    row = known.rows.get(item.row_id or 0)
    of_account = [
        side
        for line in item.plan
        if (name := line["change"]) in ("CreateAccount", "UpdateAccount")
        for side in _of_account(line, item.account, row, values.get(name) or {})
    ]
    for line in item.plan:
        match line["change"]:
            case "CreateAccount" | "UpdateAccount":
                yield from of_account
            case "CreateIdentity" | "UpdateIdentity" as name:
                who = known.people.get(str(line.get("identity_id")))
                # A new person is shown as the new account says: once is enough.
                said = {side.after for side in of_account} if name == "CreateIdentity" else set()
                of_identity = _of_identity(line, who, row, values.get(name) or {})
                yield from (side for side in of_identity if side.after not in said)
            case "PlaceHold":
                kind = str(line.get("kind", ""))
                yield Side(
                    what="May sign in",
                    before=_might_sign_in(item, known),
                    after=f"no: {HOLD_KINDS.get(kind, kind)}",
                )
            case "LiftHold":
                yield Side(what="Hold", before=str(line.get("kind", "")), after="lifted")
            case "EndSessions":
                yield Side(what="Sessions", after="end")
            case "LinkAccount":
                who = known.people.get(str(line.get("identity_id")))
                yield Side(what="Person", before="nobody yet", after=str(who or "the new identity"))
            case "DeleteAccount":
                yield Side(what="Account", before="live", after="deleted")
            case "OpenFinding":
                yield Side(what="Finding", after=meaning(str(line.get("kind", ""))))
            case "RemoveMember" | "AddMember" as name:
                group = known.groups.get(str(line.get("group_id")), "a group")
                member = ("member", "none") if name == "RemoveMember" else ("none", "member")
                yield Side(what=f"Group {group}", before=member[0], after=member[1])
            case "RecordLogin" | "AddAlias" | "detail":
                continue
            case other:
                yield Side(what=_words(other))


def _might_sign_in(item: ReconciliationItem, known: _Known) -> str:
    if any(line["change"] == "CreateIdentity" for line in item.plan):
        return ""
    if item.status in (ReconciliationItem.Status.APPLIED, ReconciliationItem.Status.UNDONE):
        # Which holds there were then, nobody knows by now; that there were some the plan has kept.
        return "yes" if item.destructive else "held already"
    held = known.held.get(item.identity_id, [])
    return f"held: {', '.join(held)}" if held else "yes"


_KEYS = {"external_id": "externalId", "user_name": "userName", "active": "active", "confirmed": "confirmed"}


def _of_account(
    line: Mapping[str, Any], account: Account | None, row: RosterRow | None, values: Mapping[str, Any]
) -> Iterator[Side]:
    """What the audit tells of it; before that, what the account has and what the roster's row says."""
    is_new = line["change"] == "CreateAccount"
    before = values.get("before", {} if is_new or account is None else account.resource)
    after = values.get("after", row.document if row is not None else {})
    for name in line.get("attributes", ()):
        if not name.startswith("assertion."):
            yield from _of_attribute(name, before.get(name), after.get(name))
    if values:
        return
    for name in line.get("fields", ()):
        if name not in _KEYS or _KEYS[name] in line.get("attributes", ()):
            continue
        was = "" if is_new or account is None else _field(account, name)
        becomes = "yes" if name == "confirmed" else in_words(getattr(row, name)) if row is not None else ""
        yield Side(what=_KEYS[name], before=was, after=becomes)


def _of_attribute(name: str, before: Any, after: Any) -> Iterator[Side]:
    """Of a complex attribute or an extension each part that differs."""
    if isinstance(before, dict) or isinstance(after, dict):
        was, becomes = before or {}, after or {}
        # RFC 7643 3.3: an extension stands under its URN, which says little to a reader.
        prefix = "" if name.startswith("urn:") else f"{name} "
        for part in sorted({*was, *becomes}):
            if was.get(part) != becomes.get(part):
                yield Side(
                    what=f"{prefix}{part}",
                    before=in_words(was.get(part)),
                    after=in_words(becomes.get(part)),
                )
    else:
        yield Side(what=name, before=in_words(before), after=in_words(after))


def _field(account: Account, name: str) -> str:
    if name == "confirmed":
        return "yes" if account.confirmed_at else "no"
    return in_words(getattr(account, name))


def _of_identity(
    line: Mapping[str, Any], who: Identity | None, row: RosterRow | None, values: Mapping[str, Any]
) -> Iterator[Side]:
    profile = profile_of_resource(row.document) if row is not None else None
    shown = [name for name in line.get("attributes", ()) if name in PROFILE_FIELDS]
    if line["change"] == "CreateIdentity":
        yield Side(what="Person", before="unknown", after="a new identity")
    for name in shown:
        if values:
            was, becomes = (values.get(side, {}).get(name) for side in ("before", "after"))
        else:
            was = getattr(who, name, "") if who is not None else ""
            becomes = getattr(profile, name, "") if profile is not None else ""
        yield Side(what=f"shown {name.replace('_', ' ')}", before=in_words(was), after=in_words(becomes))


def _words(change: str) -> str:
    return (
        "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in change)
        .strip()
        .capitalize()
    )


EXPORTED = (
    "id",
    "check_name",
    "situation",
    "reason",
    "status",
    "destructive",
    "account_id",
    "account__user_name",
    "identity_id",
    "plan",
    "decided_at",
)


def exported(rows: QuerySet[ReconciliationItem]) -> Iterator[dict[str, Any]]:
    """`EXPORTED` of every item, streamed."""
    yield from rows.order_by("id").values(*EXPORTED).iterator(chunk_size=CHUNK)


def named_changes(plan: Sequence[Mapping[str, Any]]) -> str:
    """What a plan changes by name, for a file that leaves the hub: no value of anybody."""
    return "; ".join(
        f"{line['change']}: {', '.join(line['attributes'])}" if line.get("attributes") else line["change"]
        for line in plan
    )
