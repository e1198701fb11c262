"""The part of a connection's page about coming into use: its readiness list, acceptances, activation."""

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.urls import URLPattern, path
from unfold.decorators import action
from unfold.enums import ActionVariant

from identity_hub.core.clock import now
from provisioning.decision.readiness import ACCEPTABLE, OPERATOR_ACCEPTABLE, Item, State, unmet
from provisioning.models import Connection
from provisioning.selectors.readiness import readiness
from provisioning.services import setup

from .base import TenantAdmin, actor_of, said
from .forms import ReasonForm

_BADGES = {
    State.MET: ("hub-success", "Shown"),
    State.ACCEPTED: ("hub-warning", "Accepted"),
    State.MISSING: ("hub-danger", "Open"),
    State.NOT_NEEDED: ("", "Not needed"),
}


class SetUpPages(TenantAdmin):
    """Pages of a connection."""

    def readiness_of(self, request: HttpRequest, connection: Connection) -> dict[str, Any]:
        """What the connection's page shows."""
        judged = readiness(connection, now())
        acceptable = OPERATOR_ACCEPTABLE if request.user.is_superuser else ACCEPTABLE
        return {
            "readiness": [
                (one, *_BADGES[one.state], one.is_open and one.item in acceptable) for one in judged
            ],
            "lacking": len(unmet(judged)),
            "waits": connection.status in (Connection.Status.DRAFT, Connection.Status.DISABLED),
        }

    def get_urls(self) -> list[URLPattern]:
        accept = path(
            "<path:object_id>/accept/<str:item>/",
            self.admin_site.admin_view(self.accept_view),
            name="provisioning_connection_accept",
        )
        return [accept, *super().get_urls()]

    def accept_view(self, request: HttpRequest, object_id: str, item: str) -> HttpResponse:
        connection = self.get_object(request, object_id)
        judged = next((one for one in readiness(connection, now()) if one.item == item), None)
        if judged is None:
            raise Http404

        def act(data: dict[str, Any]) -> str:
            setup.accept(
                connection=connection, item=Item(item), reason=data["reason"], actor=actor_of(request)
            )
            return "It is on the list, with your name and your reason."

        return self.ask(
            request,
            connection,
            ReasonForm(said(request)),
            title=f"Use {connection} without it?",
            lead=f"{judged.title}: {judged.sentence} Say why the connection may be used all the same.",
            submit="Accept in writing",
            act=act,
        )

    @action(
        description="Activate",
        url_path="activate",
        icon="toggle_on",
        variant=ActionVariant.PRIMARY,
        permissions=["activate"],
    )
    def activate(self, request: HttpRequest, object_id: str) -> HttpResponse:
        connection = self.get_object(request, object_id)

        def act(data: dict[str, Any]) -> str:
            setup.activate(connection=connection, actor=actor_of(request), reason=data["reason"])
            return f"{connection} is in use: people can sign in through it."

        return self.ask(
            request,
            connection,
            ReasonForm(said(request)),
            title=f"Activate {connection}?",
            lead="From then on people sign in through it.",
            submit="Activate",
            facts=[(one.title, one.sentence) for one in readiness(connection, now())],
            act=act,
        )

    @action(description="Disable", url_path="disable", icon="toggle_off", permissions=["disable"])
    def disable(self, request: HttpRequest, object_id: str) -> HttpResponse:
        connection = self.get_object(request, object_id)

        def act(data: dict[str, Any]) -> str:
            setup.disable(connection=connection, actor=actor_of(request), reason=data["reason"])
            return f"{connection} admits nobody and takes no pushes."

        return self.ask(
            request,
            connection,
            ReasonForm(said(request)),
            title=f"Disable {connection}?",
            lead="Nobody signs in through it any more, and its SCIM tokens are not heard: people who leave stay as "
            "they are. Sessions go on until they end.",
            submit="Disable",
            danger=True,
            act=act,
        )

    def has_activate_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return self._stands(request, object_id, Connection.Status.DRAFT, Connection.Status.DISABLED)

    def has_disable_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return self._stands(request, object_id, Connection.Status.ACTIVE)

    def _stands(self, request: HttpRequest, object_id: Any, *statuses: Any) -> bool:
        """Whether the button makes sense now; a page that was left open finds the service's answer."""
        if not self.may_enter(request):
            return False
        if object_id is None or request.method == "POST":
            return True
        return bool(self.get_object(request, str(object_id)).status in statuses)
