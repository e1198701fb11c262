"""`manage.py check_invariants`: whether the stored rows obey the laws of the decision core."""

from collections.abc import Iterator
from typing import Any

from django.core.management.base import CommandParser

from identity_hub.core.clock import now
from provisioning.management.base import HubCommand, table, tenant_named
from provisioning.management.lookup import tenants_of
from provisioning.selectors import invariants
from provisioning.services.laws import Broken, broken


class Command(HubCommand):
    help = (
        "Asks the database, law by law, for rows that contradict what the hub promises, and names them by id. Changes "
        "nothing. Exit code 1: a law is broken."
    )

    def arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--tenant",
            default="",
            help="Short name of the only tenant to look at; else all, and the database.",
        )

    def answer(self, **options: Any) -> dict[str, Any]:
        at = now()
        only = tenant_named(options["tenant"]) if options["tenant"] else None
        found: list[dict[str, Any]] = []
        laws = len(invariants.LAWS)
        if only is None:
            laws += len(invariants.INSTALLATION)
            found += [_told(one, "") for one in broken(invariants.violations(tenant_id=None, at=at))]
        tenants = 0
        for tenant in tenants_of(only):
            tenants += 1
            here = broken(invariants.violations(tenant_id=tenant.pk, at=at))
            found += [_told(one, tenant.slug) for one in here]
        return {"laws": laws, "tenants": tenants, "broken": found}

    def exit_code(self, answer: dict[str, Any]) -> int:
        return 1 if answer["broken"] else 0

    def show(self, answer: dict[str, Any]) -> Iterator[str]:
        if not answer["broken"]:
            yield f"All {answer['laws']} laws hold in {answer['tenants']} tenants."
            return
        for one in answer["broken"]:
            where = f" in {one['tenant']}" if one["tenant"] else ""
            yield f"{one['law']}{where}, broken {one['count']} times: {one['says']}"
            yield from table((one["about"], "beside"), [(row["id"], row["beside"]) for row in one["rows"]])
            if one["count"] > len(one["rows"]):
                yield f"... and {one['count'] - len(one['rows'])} more"
            yield ""


def _told(one: Broken, tenant: str) -> dict[str, Any]:
    return {
        "law": one.law.name,
        "says": one.law.sentence,
        "tenant": tenant or None,
        "about": one.law.about,
        "count": one.count,
        "rows": [{"id": row.id, "beside": row.beside} for row in one.rows],
    }
