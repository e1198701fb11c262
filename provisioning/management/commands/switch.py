"""`manage.py switch`: stops something of a connection at once, or lets it go on."""

from collections.abc import Iterator
from typing import Any

from django.core.management.base import CommandParser

from provisioning.decision.policy import Switch
from provisioning.management.base import HubCommand, connection_named, operator, pairs, tenant_named
from provisioning.services import switches


class Command(HubCommand):
    help = (
        "Kill switches of a connection: scim-writes (503, reads go on), scim-deactivations (503 for those that would "
        "take access away), jit-create, jit-update, runs. Without --stop and --resume it says what is stopped."
    )

    def arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--connection", required=True, help="Id, or a name that is unique.")
        parser.add_argument(
            "--tenant", default="", help="Short name of the tenant whose connection is meant."
        )
        way = parser.add_mutually_exclusive_group()
        way.add_argument("--stop", choices=[*Switch], help="From now on this is not done.")
        way.add_argument("--resume", choices=[*Switch], help="It goes on.")
        parser.add_argument("--reason", default="", help="Kept in the audit; needed for a change.")

    def answer(self, **options: Any) -> dict[str, Any]:
        tenant = tenant_named(options["tenant"]) if options["tenant"] else None
        row = connection_named(options["connection"], tenant)
        for name, act in (("stop", switches.stop), ("resume", switches.resume)):
            if options[name]:
                row = act(
                    connection=row, switch=Switch(options[name]), reason=options["reason"], actor=operator()
                )
        return {"id": str(row.pk), "name": row.name, "stopped": row.stopped}

    def show(self, answer: dict[str, Any]) -> Iterator[str]:
        if not answer["stopped"]:
            yield f"Nothing of {answer['name']} is stopped."
        yield from pairs(
            (switch, f"stopped since {facts['since']} by {facts['by']}: {facts['why']}")
            for switch, facts in sorted(answer["stopped"].items())
        )
