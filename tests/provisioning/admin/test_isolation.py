"""No address of the admin shows or changes anything of another tenant, whoever asks for it and however."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote
from uuid import UUID

import pytest
from django.apps import apps
from django.contrib import admin as django_admin
from django.contrib.admin.models import LogEntry
from django.db.models import Model
from django.test import Client
from django.urls import URLPattern, URLResolver
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from provisioning.admin.base import TenantAdmin
from provisioning.models import (
    Account,
    AuditRecord,
    EntitlementMapping,
    Identity,
    OpenSession,
    ReconciliationItem,
    TenantDomain,
)
from saml_sp.trial import open_trial
from tests.provisioning.cast import OPERATOR

from .conftest import Enter
from .scene import Scene

SITE = django_admin.site


def row_of(model: type[Model], scene: Scene) -> Any:
    """A row of every model that has a page; a new page without one here fails this module."""
    tenant = scene.where.tenant
    match model.__name__:
        case "Tenant":
            return tenant
        case "Connection":
            return scene.where.connection
        case "Identity":
            return scene.active
        case "Account":
            return Account.objects.filter(identity=scene.active).first()
        case "DirectoryGroup":
            return scene.group
        case "Entitlement":
            return scene.entitlement
        case "Finding":
            return scene.finding
        case "ReconciliationRun":
            return scene.run
        case "Roster":
            return scene.roster
        case "ReconciliationItem":
            return ReconciliationItem.objects.filter(run=scene.run).first()
        case "AuditRecord":
            return AuditRecord.objects.filter(tenant_id=tenant.pk).first()
        case "ScimRequest":
            return scene.request
        case "SchemaExtension":
            return scene.schema
        case "OpenSession":
            return OpenSession.objects.get(pk=scene.session.handle)
        case "OutboxMessage":
            return scene.outbox
        case "LoginAttempt":
            return scene.attempt
        case "TestLogin":
            test, _ = open_trial(scene.where.connection, actor=OPERATOR)
            return test
        case "PeriodicTask":
            every, _ = IntervalSchedule.objects.get_or_create(every=1, period="days")
            return PeriodicTask.objects.get_or_create(name=f"task-{scene.word}", interval=every)[0]
    raise AssertionError(f"say which row of {model.__name__} this test should ask for")


def patterns(urls: list[Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for url in urls:
        if isinstance(url, URLResolver):
            yield from patterns(url.url_patterns, prefix + str(url.pattern))
        elif isinstance(url, URLPattern):
            yield prefix + str(url.pattern), url


PAGES = [(model, page) for model, page in SITE._registry.items()]
OBJECT_ADDRESSES = [
    (model, pattern)
    for model, page in PAGES
    for pattern, _ in patterns(page.get_urls())
    if "<path:object_id>" in pattern
]
LIST_ADDRESSES = [
    f"/admin/{model._meta.app_label}/{model._meta.model_name}/{pattern}"
    for model, page in PAGES
    for pattern, _ in patterns(page.get_urls())
    if "<" not in pattern
]


def filled(model: type[Model], pattern: str, scene: Scene, key: Any = None) -> str:
    mapping = EntitlementMapping.objects.filter(entitlement=scene.entitlement).first()
    path = (
        pattern.replace("<path:object_id>", quote(str(key or row_of(model, scene).pk), safe=""))
        .replace("<str:handle>", scene.session.handle)
        .replace("<str:attribute>", "title")
        .replace("<str:item>", "lifecycle")
        .replace("<uuid:token_id>", str(scene.token.pk))
        .replace("<uuid:scim_client_id>", str(scene.client.pk))
        .replace("<uuid:mapping_id>", str(mapping.pk if mapping else ""))
        .replace("<uuid:domain_id>", str(TenantDomain.objects.filter(tenant=scene.where.tenant)[0].pk))
    )
    assert "<" not in path, f"fill in {path}"
    return f"/admin/{model._meta.app_label}/{model._meta.model_name}/{path}"


@pytest.mark.parametrize("method", ["get", "post"])
def test_another_tenants_row_is_not_there(admin: Client, theirs: Scene, method: str) -> None:
    addresses = [filled(model, pattern, theirs) for model, pattern in OBJECT_ADDRESSES]
    before = AuditRecord.objects.count()
    for address in addresses:
        response = getattr(admin, method)(address, {"reason": "x", "approve": "yes", "kind": "admin"})
        if response.status_code == 302:
            # The address of a row without a page (`<id>/`) leads to its `change/`, which is asked here too.
            response = admin.get(response["Location"])
        assert response.status_code in (403, 404), address
        assert theirs.word not in response.content.decode(), address
    assert AuditRecord.objects.count() == before


def test_a_list_knows_one_tenant(admin: Client, ours: Scene, theirs: Scene) -> None:
    connection, run = theirs.where.connection.pk, theirs.run.pk
    questions = [
        {},
        {"_popup": "1"},
        {"_to_field": "id"},
        {"_facets": "True"},
        {"q": theirs.word},
        {"q": str(theirs.active.pk)},
        {"q": theirs.attempt.reference},
        {"connection__id__exact": str(connection)},
        {"run__id__exact": str(run)},
        {"source": str(connection)},
        {"identity_id": str(theirs.active.pk)},
        {"person": str(theirs.active.pk)},
        {"target_id": str(theirs.held.pk)},
        {"request_id": theirs.request.request_id},
        {"tenant__id__exact": str(theirs.where.tenant.pk)},
        {"status": "all"},
        {"tenant": str(theirs.where.tenant.pk)},
    ]
    for address in LIST_ADDRESSES:
        for question in questions:
            response = admin.get(address, question)
            said = b"".join(response.streaming_content) if response.streaming else response.content
            text = said.decode()
            for word in question.values():
                text = text.replace(word, "")  # a page may repeat what was asked, and nothing else
            assert response.status_code in (200, 302, 400, 403), (address, question)
            for secret in (theirs.word, str(theirs.active.pk), str(connection)):
                assert secret not in text, (address, question)


def test_looking_for_somebody_finds_ones_own_only(admin: Client, ours: Scene, theirs: Scene) -> None:
    for address in ("/admin/", "/admin/find/", "/admin/search/", "/admin/provisioning/"):
        for key in (
            theirs.word,
            f"ada@{theirs.where.domain}",
            str(theirs.active.pk),
            theirs.attempt.reference,
            theirs.attempt.request_id,
        ):
            response = admin.get(address, {"q": key, "s": key, "extended": "1"})
            assert response.status_code == 200
            assert theirs.word not in response.content.decode().replace(key, ""), (address, key)


def test_choices_of_a_filter_are_ones_own(admin: Client, ours: Scene, theirs: Scene) -> None:
    page = admin.get("/admin/provisioning/account/").content.decode()
    assert f"Second {ours.word}" in page
    assert f"Second {theirs.word}" not in page


def test_choices_of_a_form_are_ones_own(admin: Client, ours: Scene, theirs: Scene) -> None:
    page = admin.get(f"/admin/provisioning/directorygroup/{ours.group.pk}/map-entitlement/").content.decode()
    assert ours.entitlement.name in page
    assert theirs.entitlement.name not in page
    response = admin.post(
        f"/admin/provisioning/directorygroup/{ours.group.pk}/map-entitlement/",
        {"entitlement": str(theirs.entitlement.pk)},
    )
    assert response.status_code == 200  # the form again
    assert not theirs.entitlement.mappings.filter(group=ours.group).exists()


def test_autocompletes_know_one_tenant(admin: Client, ours: Scene, theirs: Scene) -> None:
    for field in (field for model, _ in PAGES for field in model._meta.fields if field.is_relation):
        asked = {
            "app_label": field.model._meta.app_label,
            "model_name": field.model._meta.model_name,
            "field_name": field.name,
        }
        for term in ("", theirs.word, "a\x00b"):
            response = admin.get("/admin/autocomplete/", asked | {"term": term})
            assert response.status_code in (200, 400, 403), asked
            assert theirs.word not in response.content.decode(), asked


def test_every_page_is_scoped_and_logs_nothing_of_its_own(root: Client, ours: Scene) -> None:
    assert all(isinstance(page, TenantAdmin) for page in SITE._registry.values())
    assert LogEntry not in SITE._registry
    assert apps.get_model("auth", "Group") not in SITE._registry
    root.post(
        f"/admin/provisioning/identity/{ours.active.pk}/place-hold/",
        {"kind": "admin", "reason": "Lost badge"},
    )
    assert not LogEntry.objects.exists()


def test_there_is_no_look_up_of_any_model_by_id(admin: Client, theirs: Scene) -> None:
    """Django's "view on site" would tell whether a row exists."""
    assert admin.get(f"/admin/r/7/{theirs.active.pk}/").status_code == 404


def test_an_id_that_is_none_is_not_found(root: Client, ours: Scene) -> None:
    for model, pattern in OBJECT_ADDRESSES:
        for key in ("garbage", "0", "99999999999999999999", "a\x00b", UUID(int=0)):
            response = root.get(filled(model, pattern, ours, key))
            if response.status_code == 302:
                response = root.get(response["Location"])
            assert response.status_code == 404, (model, pattern, key)


def test_a_superuser_sees_every_tenant(root: Client, ours: Scene, theirs: Scene) -> None:
    page = root.get("/admin/provisioning/identity/").content.decode()
    assert ours.word in page
    assert theirs.word in page


def test_who_is_no_administrator_does_not_come_in(enter: Enter, ours: Scene) -> None:
    browser = enter(ours.active)
    for address in LIST_ADDRESSES:
        response = browser.get(address)
        assert response.status_code == 302, address
        assert response["Location"].startswith("/admin/login/")


def test_who_administers_by_an_entitlement_comes_in(enter: Enter, ours: Scene, theirs: Scene) -> None:
    page = enter(ours.staff).get("/admin/provisioning/identity/")
    assert page.status_code == 200
    assert ours.word in page.content.decode()
    assert theirs.word not in page.content.decode()


def test_a_hold_shuts_the_door_at_once(enter: Enter, admin: Client, ours: Scene) -> None:
    browser = enter(ours.staff)
    assert browser.get("/admin/").status_code == 200
    admin.post(
        f"/admin/provisioning/identity/{ours.staff.pk}/place-hold/", {"kind": "admin", "reason": "Left"}
    )
    assert browser.get("/admin/").status_code == 302


def test_a_query_string_cannot_guess_a_hidden_column(admin: Client, ours: Scene) -> None:
    for column in (
        "password__startswith",
        "session_epoch",
        "tenant__digest_key__startswith",
        "kind__regex",
        "kind__range",
    ):
        assert admin.get("/admin/provisioning/identity/", {column: "p"}).status_code == 400, column


def test_identities_of_the_installation_are_not_a_tenants(
    admin: Client, superuser: Identity, ours: Scene
) -> None:
    assert admin.get(f"/admin/provisioning/identity/{superuser.pk}/change/").status_code == 404
