"""The pages about a tenant's own SCIM attributes: an extension, and a row for each attribute. Knows no value."""

import json
from dataclasses import replace
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from unfold.admin import TabularInline
from unfold.decorators import action, display
from unfold.widgets import UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from provisioning.models import SchemaAttribute, SchemaExtension, Tenant
from provisioning.selectors import schemas as stored
from provisioning.services import schemas
from provisioning.services.definitions import AttributeDefinition, Definition, definition_of

from .base import Scoped, TenantAdmin, actor_of, said, tenant_of
from .forms import ReasonField, ReasonForm

# What stays as it was defined: the values that exist were written under it.
FIXED = ("path", "type", "multi_valued", "case_exact")
FREE = ("required", "mutability", "returned", "uniqueness", "canonical_values")


class AttributeForm(forms.ModelForm):
    path = forms.CharField(
        max_length=201,
        label="Name",
        widget=UnfoldAdminTextInputWidget(attrs={"placeholder": "badge or badge.number"}),
    )
    canonical_values = forms.CharField(
        required=False,
        label="Allowed values",
        widget=UnfoldAdminTextInputWidget(attrs={"placeholder": "red, blue"}),
    )

    class Meta:
        model = SchemaAttribute
        fields = [*FIXED, *FREE]
        labels = {"multi_valued": "Several", "case_exact": "Case exact"}

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        for name in ("type", "mutability", "returned", "uniqueness"):
            # The words of RFC 7643: whoever fills this in reads them in the directory's own pages, too.
            words = SchemaAttribute._meta.get_field(name).choices
            self.fields[name].choices = [(value, value) for value, _ in words]
            self.fields[name].widget.attrs["class"] += " min-w-32"
        row = self.instance
        self.initial["canonical_values"] = ", ".join(row.canonical_values)
        if not row._state.adding:
            self.initial["path"] = f"{row.parent.name}.{row.name}" if row.parent_id else row.name
            for name in FIXED:
                self.fields[name].disabled = True

    def clean_canonical_values(self) -> list[str]:
        choices = (choice.strip() for choice in self.cleaned_data["canonical_values"].split(","))
        return [choice for choice in choices if choice]

    def definition(self) -> AttributeDefinition:
        told = self.cleaned_data
        return AttributeDefinition(
            path=tuple(name.strip() for name in told["path"].split(".")),
            canonical_values=tuple(told["canonical_values"]),
            **{name: told[name] for name in (*FIXED[1:], *FREE) if name != "canonical_values"},
        )


class AttributeInline(Scoped, TabularInline):
    model = SchemaAttribute
    form = AttributeForm
    fk_name = "extension"
    fields = [*FIXED, *FREE]
    extra = 0
    verbose_name = "attribute"
    verbose_name_plural = "Attributes"
    hide_title = True
    template_before = "provisioning/admin/attributes.html"
    ordering = ["id"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[SchemaAttribute]:
        rows: QuerySet[SchemaAttribute] = super().get_queryset(request)
        return rows.select_related("parent")

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.may_enter(request)

    has_change_permission = has_add_permission
    has_delete_permission = has_add_permission


class ExtensionForm(forms.ModelForm):
    reason = ReasonField()

    class Meta:
        model = SchemaExtension
        fields = ["tenant", "resource", "urn", "name", "description", "required"]
        labels = {"resource": "Extends"}
        widgets = {"description": UnfoldAdminTextareaWidget(attrs={"rows": 2})}
        help_texts = {
            "urn": "For instance urn:ietf:params:scim:schemas:extension:badge:2.0:User. It never changes.",
            "required": "Every resource that a directory creates or replaces must carry the extension. A change of "
            "something else, such as a deactivation by PATCH, is never refused for it.",
        }


@admin.register(SchemaExtension)
class SchemaExtensionPage(TenantAdmin):
    form = ExtensionForm
    inlines = [AttributeInline]
    list_display = ["urn", "name", "resource", "required", "attribute_count"]
    list_filter = ["resource"]
    search_fields = ["urn_key", "name"]
    actions_detail = ["export", "remove"]
    fieldsets = [
        (None, {"fields": ["urn", ("resource", "name"), "description", "required", "reason"]}),
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[SchemaExtension]:
        return super().get_queryset(request).annotate(number=Count("attributes"))

    @display(description="Attributes")
    def attribute_count(self, extension: SchemaExtension) -> int:
        return extension.number  # type: ignore[attr-defined,no-any-return]

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.may_enter(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.may_enter(request)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        fieldsets = super().get_fieldsets(request, obj)
        if obj is None and tenant_of(request) is None:
            return [(None, {"fields": ["tenant"]}), *fieldsets]
        return fieldsets

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return [] if obj is None else ["urn", "resource"]

    def save_model(self, request: HttpRequest, obj: SchemaExtension, form: Any, change: bool) -> None:
        """An extension and its attributes are one definition: `save_related` has both."""

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        row, told = form.instance, form.cleaned_data
        tenant = row.tenant if change or request.user.is_superuser else request.user.tenant
        definition = Definition(
            urn=row.urn.strip(),
            name=told["name"],
            resource=row.resource,
            description=told["description"],
            required=told["required"],
            attributes=_attributes(tenant, row, formsets[0], change),
        )
        made = schemas.define(
            tenant=tenant, definition=definition, actor=actor_of(request), reason=told["reason"]
        )
        row.pk = made.pk

    def construct_change_message(
        self, request: HttpRequest, form: Any, formsets: Any, add: bool = False
    ) -> list[Any]:
        """What changed is in the audit; the formsets have saved nothing that they could tell."""
        return []

    @action(description="Export", url_path="export", icon="download", permissions=["act"])
    def export(self, request: HttpRequest, object_id: str) -> HttpResponse:
        extension = self.get_object(request, object_id)
        document = next(
            one.document for one in stored.extensions_of(extension.tenant_id) if one.id == extension.pk
        )
        return HttpResponse(
            json.dumps(document, indent=2, ensure_ascii=False),
            content_type="application/json",
            headers={"Content-Disposition": 'attachment; filename="schema.json"'},
        )

    @action(description="Remove", url_path="remove", icon="delete", permissions=["act"])
    def remove(self, request: HttpRequest, object_id: str) -> HttpResponse:
        extension = self.get_object(request, object_id)

        def act(data: dict[str, Any]) -> HttpResponse | str:
            schemas.remove(extension=extension, actor=actor_of(request), reason=data["reason"])
            return f"{extension} is gone, with all that resources held of it."

        return self.ask(
            request,
            extension,
            ReasonForm(said(request)),
            title=f"Remove {extension}",
            lead="What every person or group of the tenant holds of it is erased at once, and cannot be brought back. "
            "What directories send of it from then on is ignored.",
            submit="Remove it",
            danger=True,
            act=act,
            back=reverse("admin:provisioning_schemaextension_changelist"),
        )


def _attributes(
    tenant: Tenant, extension: SchemaExtension, formset: Any, change: bool
) -> tuple[AttributeDefinition, ...]:
    """The attributes as they are, with what the form adds, changes and marks to be removed.

    What somebody else has added since the form was opened is not on it, and stays.
    """
    found: dict[tuple[str, ...], AttributeDefinition] = {}
    if change:
        held = next(one for one in stored.extensions_of(tenant.pk) if one.id == extension.pk)
        found = {_key(one): one for one in definition_of(held.document).attributes}
    gone = [_key(row.definition()) for row in formset.deleted_forms if not row.instance._state.adding]
    added = []
    for row in formset.forms:
        if row in formset.deleted_forms or not row.has_changed():
            continue
        one = row.definition()
        if row.instance._state.adding:
            added.append(one)
        elif _key(one) in found:
            # What the form does not show stays: the spelling of the name, the description.
            known = found[_key(one)]
            found[_key(one)] = replace(one, path=known.path, description=known.description)
    # With a complex attribute its parts go.
    kept = [one for key, one in found.items() if key not in gone and key[:1] not in gone]
    return (*kept, *added)


def _key(one: AttributeDefinition) -> tuple[str, ...]:
    return tuple(name.lower() for name in one.path)
