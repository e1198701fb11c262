"""The card of a connection with its kill switches: what is stopped, since when, by whom and why."""

from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import Any

from django.http import HttpRequest, HttpResponse

from provisioning.decision.policy import Switch
from provisioning.decision.types import Actor
from provisioning.models import Connection
from provisioning.selectors.timeline import actor_names
from provisioning.services import switches

from . import parts
from .base import TenantAdmin, actor_of, said
from .forms import ReasonForm

WORDS: Mapping[Switch, tuple[str, str]] = {
    Switch.SCIM_WRITES: (
        "SCIM writes",
        "Every write is answered 503 and sent again later by the identity provider; reads go on.",
    ),
    Switch.DEACTIVATIONS: (
        "SCIM deactivations",
        "What would take somebody's access away is answered 503; other writes go on.",
    ),
    Switch.JIT_CREATE: ("Accounts by logins", "No login makes an account; who has one signs in."),
    Switch.JIT_UPDATE: (
        "Updates by logins",
        "Who has an account signs in; nothing of the assertion is kept.",
    ),
    Switch.RUNS: ("Runs", "No reconciliation run is executed; simulations by hand stay possible."),
}
"""(what, what stopping it means)"""


def stopped(connection: Connection) -> list[str]:
    """What is stopped, in words."""
    return [WORDS[switch][0] for switch in Switch if switch in connection.stopped]


class Switches:
    def __init__(self) -> None:
        self.views: Mapping[str, parts.View] = {
            **{f"stop-{switch}": partial(self.stop, switch=switch) for switch in Switch},
            **{f"resume-{switch}": partial(self.resume, switch=switch) for switch in Switch},
        }

    def cards(self, request: HttpRequest, connection: Connection) -> list[parts.Card]:
        facts = connection.stopped
        names = actor_names({Actor.who_signed(one["by"]) for one in facts.values()}, connection.tenant_id)
        rows = [
            (
                switch.value,
                *WORDS[switch],
                {
                    "since": datetime.fromisoformat(facts[switch]["since"]),
                    "by": names[Actor.who_signed(facts[switch]["by"])],
                    "why": facts[switch]["why"],
                }
                if switch in facts
                else None,
            )
            for switch in Switch
        ]
        template = "provisioning/admin/switches.html"
        return [parts.Card(template=template, context={"rows": rows}, urgent=bool(facts))]

    def stop(
        self, page: TenantAdmin, request: HttpRequest, connection: Connection, *, switch: Switch
    ) -> HttpResponse:
        what, meaning = WORDS[switch]

        def act(data: dict[str, Any]) -> str:
            switches.stop(
                connection=connection, switch=switch, reason=data["reason"], actor=actor_of(request)
            )
            return f"Stopped: {what}."

        return page.ask(
            request,
            connection,
            ReasonForm(said(request)),
            title=f"Stop: {what} of {connection}",
            lead=f"{meaning} It stays so until an administrator lets it go on.",
            submit="Stop",
            danger=True,
            act=act,
        )

    def resume(
        self, page: TenantAdmin, request: HttpRequest, connection: Connection, *, switch: Switch
    ) -> HttpResponse:
        what, _ = WORDS[switch]
        facts = connection.stopped.get(switch)

        def act(data: dict[str, Any]) -> str:
            switches.resume(
                connection=connection, switch=switch, reason=data["reason"], actor=actor_of(request)
            )
            return f"It goes on: {what}."

        return page.ask(
            request,
            connection,
            ReasonForm(said(request)),
            title=f"Let it go on: {what} of {connection}",
            lead="From now on what comes is done. What was refused meanwhile comes only if its sender sends it again.",
            submit="Let it go on",
            facts=[("Stopped because", facts["why"])] if facts else [],
            act=act,
        )


parts.register(Switches())
