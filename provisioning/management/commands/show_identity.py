"""`manage.py show_identity`: who somebody is, by which accounts, and why enabled or not."""

from collections.abc import Iterator
from typing import Any

from django.core.management.base import CommandError, CommandParser

from provisioning.management.base import HubCommand, pairs, table, tenant_named
from provisioning.management.lookup import Found, identities_named
from provisioning.models import Account, Hold, Identity, Tombstone
from provisioning.selectors import groups, merges, overrides, timeline


class Command(HubCommand):
    help = "Shows an identity by its id, userName, e-mail, an old name, or an account's id. Several hits are listed."

    def arguments(self, parser: CommandParser) -> None:
        parser.add_argument("key", help="Id, userName, e-mail or an old name.")
        parser.add_argument("--tenant", default="", help="Look in this tenant only.")

    def answer(self, **options: Any) -> dict[str, Any]:
        tenant = tenant_named(options["tenant"]) if options["tenant"] else None
        found = identities_named(options["key"], tenant)
        if not found:
            raise CommandError(f"Nobody answers to {options['key']!r}.")
        return {"identities": [_told(hit) for hit in found]}

    def show(self, answer: dict[str, Any]) -> Iterator[str]:
        many = answer["identities"]
        if len(many) > 1:
            yield f"{len(many)} identities answer to this; give an id."
            yield from table(
                ("Id", "Tenant", "userName", "E-mail", "State"),
                [(one["id"], one["tenant"], one["userName"], one["email"], _state(one)) for one in many],
            )
            return
        yield from _shown(many[0])


def _state(one: dict[str, Any]) -> str:
    return "enabled" if one["enabled"] else "not enabled"


def _shown(one: dict[str, Any]) -> Iterator[str]:
    yield from pairs(
        [
            ("Identity", f"{one['displayName'] or one['userName']}: {_state(one)}"),
            ("Id", one["id"]),
            ("Tenant", one["tenant"]),
            *([("Merged into", one["merged_into"])] if one["merged_into"] else []),
            *[("Ended here", key) for key in one["ended_here"]],
            ("userName", one["userName"]),
            ("E-mail", one["email"]),
            *[("Overridden", f"{o['attribute']}, until {o['until'][:19]}") for o in one["overrides"]],
            *[("Why not" if not one["enabled"] else "Why", why) for why in one["why"]],
            ("Groups", ", ".join(one["groups"]) or "none"),
        ]
    )
    yield ""
    yield from table(
        ("Account", "Connection", "userName", "externalId", "State", "Link"),
        [
            (a["id"], a["connection"], a["userName"], a["externalId"], a["state"], a["rule"])
            for a in one["accounts"]
        ],
    )
    if one["holds"]:
        yield ""
        yield from table(
            ("Hold", "Source account", "Reason", "Placed by", "At"),
            [
                (h["kind"], h["source"], h["reason"], h["placed_by"], h["placed_at"][:19])
                for h in one["holds"]
            ],
        )


def _told(hit: Found) -> dict[str, Any]:
    identity, tenant_id = hit.identity, hit.identity.tenant_id
    holds = Hold.objects.filter(tenant_id=tenant_id, identity=identity).order_by("placed_at")
    enabled = identity.is_active
    answer = timeline.answer(identity, [])
    why = [cause.sentence for cause in answer.causes] if not enabled else [_reason_to_be_enabled(identity)]
    return {
        "id": str(identity.pk),
        "tenant": hit.tenant,
        "userName": identity.user_name or identity.login_name or "",
        "email": identity.email,
        "displayName": identity.display_name,
        "kind": identity.kind,
        "local": identity.local,
        "enabled": enabled,
        "merged_into": str(merges.stands_for(identity).pk) if identity.merged_into_id else None,
        "ended_here": sorted(str(key) for key in merges.all_ids(identity) if key != identity.pk),
        "why": why,
        "groups": groups.of_identity(tenant_id=tenant_id, identity_id=identity.pk) if tenant_id else [],
        "overrides": [
            {
                "attribute": row.attribute,
                "value": row.value,
                "until": row.until.isoformat(),
                "reason": row.reason,
                "set_by": row.set_by,
            }
            for row in overrides.live_of(identity).values()
        ],
        "accounts": _accounts(identity),
        "holds": [
            {
                "kind": hold.kind,
                "source": str(hold.source_account_id) if hold.source_account_id else None,
                "reason": hold.reason,
                "placed_by": hold.placed_by,
                "placed_at": hold.placed_at.isoformat(),
            }
            for hold in holds
        ],
    }


def _reason_to_be_enabled(identity: Identity) -> str:
    return (
        "No hold; signs in with a password of the hub." if identity.local else "No hold, and a live account."
    )


def _accounts(identity: Identity) -> list[dict[str, Any]]:
    rows = Account.objects.select_related("connection").filter(
        tenant_id=identity.tenant_id, identity=identity
    )
    purged = set(
        Tombstone.objects.filter(
            tenant_id=identity.tenant_id, identity=identity, purged_at__isnull=False
        ).values_list("pk", flat=True)
    )
    return [
        {
            "id": str(row.pk),
            "connection": row.connection.name,
            "userName": row.user_name,
            "externalId": row.external_id,
            "origin": row.origin,
            "state": _account_state(row, purged=row.pk in purged),
            "rule": row.link_rule,
            "confirmed_at": row.confirmed_at.isoformat() if row.confirmed_at else None,
            "last_login_at": row.last_login_at.isoformat() if row.last_login_at else None,
            "deleted_at": row.deleted_at.isoformat() if row.deleted_at else None,
        }
        for row in rows
    ]


def _account_state(row: Account, *, purged: bool) -> str:
    if row.deleted_at:
        return "purged" if purged else "deleted"
    if not row.active:
        return "inactive"
    return "active" if row.confirmed_at else "unconfirmed"
