"""The pages of a test login: begin one from the connection's page, read its report, act on it."""

from collections.abc import Mapping
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import URLPattern, path
from unfold.decorators import display

from identity_hub.core.clock import now
from provisioning.admin.base import TenantAdmin, actor_of, link_to, said
from provisioning.admin.forms import ReasonForm
from provisioning.admin.parts import Card, View, register
from provisioning.models import Connection
from provisioning.services.configuration import Invalid

from . import client, trial
from .models import TestLogin
from .rehearsal import FOREIGN, title_of
from .views.pages import carried
from .views.testing import start

_BADGES = {
    "passed": ("hub-success", "Passed"),
    "failed": ("hub-danger", "Failed"),
    "not-reached": ("", "Not reached"),
}
_VERDICTS = {"ok": "hub-success", "missing": "hub-warning"}
_LABELS = {"name_id": "NameID", "user_name": "userName", "external_id": "externalId", "email": "E-mail"}
_FIELDS = {
    "preset": "Product",
    "attribute_map": "Mapping",
    "user_name_attribute": "userName attribute",
    "external_id_attribute": "externalId attribute",
}


class TestPart:
    """On a connection's page: the last test, and the button that begins another."""

    __test__ = False

    def __init__(self) -> None:
        self.views: Mapping[str, View] = {"test-login": self.begin}

    def cards(self, request: HttpRequest, connection: Connection) -> list[Card]:
        last = TestLogin.objects.filter(
            tenant_id=connection.tenant_id,
            connection=connection,
            finished_at__isnull=False,
            expires_at__gt=now(),
        ).first()
        return [
            Card(
                template="saml_sp/admin/test_card.html",
                context={"last": last, "configured": bool(connection.idp_metadata)},
            )
        ]

    def begin(self, page: TenantAdmin, request: HttpRequest, connection: Connection) -> HttpResponse:
        def act(_: dict[str, Any]) -> HttpResponse:
            _, token = trial.open_trial(connection, actor=actor_of(request))
            try:
                return start(request, connection, token)
            except client.NotConfigured:
                raise Invalid("", "The connection has no IdP metadata that can be used yet.") from None
            except trial.Over:
                raise Invalid("", "Only a draft or an active connection can be tried.") from None

        return page.ask(
            request,
            connection,
            forms.Form(said(request)),
            title=f"Try a login through {connection}",
            lead="You are taken to the identity provider. Sign in there as somebody who will use the hub, and come "
            "back to a page that shows what arrived and what the hub would do. Nobody is signed in here, and nothing "
            "about the person is kept beyond an hour.",
            submit="Go to the identity provider",
            act=act,
        )


register(TestPart())


@admin.register(TestLogin)
class TestLoginPage(TenantAdmin):
    change_form_template = "saml_sp/admin/test_login.html"
    list_display = ["created_at", "connection", "state"]
    list_select_related = ("connection",)
    list_filter = ["connection"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[TestLogin]:
        # A report holds somebody's attributes: it is over when its hour is, whenever it is trimmed.
        return super().get_queryset(request).filter(expires_at__gt=now())

    @display(description="Outcome", label={"passed": "success", "failed": "danger", "open": "info"})
    def state(self, row: TestLogin) -> tuple[str, str]:
        if row.finished_at is None:
            return "open", "Not finished"
        return ("passed", "Passed") if row.passed else ("failed", "Failed")

    def get_urls(self) -> list[URLPattern]:
        views = {"apply": self.apply_view, "sign-out": self.sign_out_view}
        return [
            *(
                path(
                    f"<path:object_id>/{address}/",
                    self.admin_site.admin_view(view),
                    name=f"saml_sp_testlogin_{address.replace('-', '_')}",
                )
                for address, view in views.items()
            ),
            *super().get_urls(),
        ]

    def beside(self, request: HttpRequest, object_id: str) -> dict[str, Any]:
        row = self.get_object(request, object_id)
        report = row.report
        checks = report.get("checks", [])
        return {
            "checks": [_check(check) for check in checks],
            "failed": sum(check["state"] == "failed" for check in checks),
            "arrived": report.get("arrived", {}),
            "withheld": any(check["reason"] in FOREIGN for check in checks),
            "mapped": [
                (
                    line | {"label": _label(line["attribute"])},
                    _VERDICTS.get(line["verdict"], "hub-danger"),
                )
                for line in report.get("mapped", [])
            ],
            "decision": report.get("decision", {}),
            "decided": sorted(report.get("decision", {}).get("detail", {}).items()),
            "preset": report.get("preset", {}),
            "proposed": [
                (_FIELDS.get(name, name), value)
                for name, value in report.get("preset", {}).get("changes", {}).items()
            ],
            "connection_link": link_to(row.connection),
        }

    def apply_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Takes over what the recognised product proposes."""
        row = self.get_object(request, object_id)
        preset = row.report.get("preset", {})
        if not preset.get("changes"):
            raise Http404

        def act(data: dict[str, Any]) -> str:
            trial.take_over(row, reason=data["reason"], actor=actor_of(request))
            return (
                "The connection is set up as proposed. Try a login again to see what the mapping makes of it."
            )

        return self.ask(
            request,
            row,
            ReasonForm(said(request), initial={"reason": f"Proposed by a test login: {preset['title']}"}),
            title=f"Set {row.connection} up for {preset['title']}?",
            lead="These settings of the connection change. Whatever is set now is replaced.",
            submit="Take it over",
            facts=[(_FIELDS.get(name, name), _shown(value)) for name, value in preset["changes"].items()],
            back=self.address_of(row),
            act=act,
        )

    def sign_out_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Signs the person of the test out at the IdP, to see whether both sides agree."""
        row = self.get_object(request, object_id)

        def act(_: dict[str, Any]) -> HttpResponse:
            try:
                asked = trial.begin_sign_out(row)
            except client.NotConfigured:
                asked = None
            if asked is None:
                raise Invalid(
                    "", "The IdP metadata names no SingleLogoutService, or the test brought no NameID."
                )
            return carried(request, row.connection, asked, signing_out=True)

        return self.ask(
            request,
            row,
            forms.Form(said(request)),
            title="Test sign-out?",
            lead="The identity provider is asked to end the session that the test login began there. Its answer counts "
            "when it is signed and says that it did.",
            submit="Sign out there",
            act=act,
        )


def _check(check: dict[str, Any]) -> dict[str, Any]:
    badge, word = _BADGES[check["state"]]
    return check | {
        "title": title_of(check["code"]),
        "badge": badge,
        "word": word,
        "detail": sorted((check["detail"] | _found(check)).items()),
    }


def _found(check: dict[str, Any]) -> dict[str, str]:
    found = check.get("found")
    return {"found": ", ".join(found)} if found else {}


def _label(attribute: str) -> str:
    return _LABELS.get(attribute) or attribute.replace("_", " ").capitalize()


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return "; ".join(f"{name}: {', '.join(names)}" for name, names in value.items()) or "—"
    return str(value) or "—"
