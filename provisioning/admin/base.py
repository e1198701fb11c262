"""What every page of the admin obeys: only rows of the user's tenant, and no write but through `services`.

Knows no model. A page that wants to write says how, by `save_model` or an action; whatever it does not say is
refused here.
"""

import json
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html
from unfold.admin import ModelAdmin

from provisioning.decision.types import Actor, Decision, Outcome, Verdict
from provisioning.selectors.timeline import meaning
from provisioning.services.configuration import Invalid

from .forms import ConfirmForm, ReasonForm
from .lists import Counted, ShownList


def actor_of(request: HttpRequest) -> Actor:
    return Actor(kind="identity", id=str(request.user.pk))


def tenant_of(request: HttpRequest) -> UUID | None:
    """The tenant whose rows a request may see; None only for an installation superuser, who may see all."""
    if request.user.is_superuser:
        return None
    if request.user.tenant_id is None:
        raise PermissionDenied
    return request.user.tenant_id


def within_tenant(rows: QuerySet[Any], request: HttpRequest, path: str) -> QuerySet[Any]:
    tenant_id = tenant_of(request)
    return rows if tenant_id is None else rows.filter(**{path: tenant_id})


CHOICES_AT_MOST = 500


class TenantRelatedFilter(admin.RelatedFieldListFilter):
    """The choices of a list filter are rows too: they come from the related page's own scoped list."""

    def field_choices(self, field: Any, request: HttpRequest, model_admin: Any) -> list[tuple[Any, str]]:
        page = model_admin.admin_site.get_model_admin(field.related_model)
        # Only names are shown: what names are made of comes along, what the page's list shows beside them does not.
        rows = page.get_queryset(request).select_related(*page.get_list_select_related(request))
        return [(row.pk, str(row)) for row in rows.prefetch_related(None)[:CHOICES_AT_MOST]]


def _parameter(list_filter: Any) -> str:
    """The query parameter of a list filter: Django takes a name, a pair or a class."""
    if isinstance(list_filter, str):
        return list_filter
    return list_filter[0] if isinstance(list_filter, tuple) else list_filter.parameter_name


class Scoped:
    """Seen inside the tenant only, and read-only until a page says otherwise."""

    tenant_path = "tenant"
    """How a row names its tenant."""
    superuser_only = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        if not self.may_enter(request):
            return super().get_queryset(request).none()  # type: ignore[misc, no-any-return]
        return within_tenant(super().get_queryset(request), request, self.tenant_path)  # type: ignore[misc]

    def may_enter(self, request: HttpRequest) -> bool:
        user = request.user
        return bool(user.is_active) and (
            user.is_superuser or (not self.superuser_only and user.is_staff and user.tenant_id is not None)
        )

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.may_enter(request)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.may_enter(request)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **options: Any) -> Any:
        if self.admin_site.is_registered(db_field.related_model):  # type: ignore[attr-defined]
            page = self.admin_site.get_model_admin(db_field.related_model)  # type: ignore[attr-defined]
            options["queryset"] = page.get_queryset(request)
        else:
            # What has no page of its own has no scoped list to choose from.
            options["queryset"] = db_field.related_model.objects.none()
        return super().formfield_for_foreignkey(db_field, request, **options)  # type: ignore[misc]


class TenantAdmin(Scoped, ModelAdmin):
    """A page about one model. `HubSite` registers nothing else."""

    list_per_page = 50
    paginator = Counted
    show_full_result_count = False
    list_max_show_all = 0
    list_filter_submit = False
    list_fullwidth = True
    warn_unsaved_form = True
    audit_column = "object_id"
    """The column by which audit records speak of this model's rows."""

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        row = super().get_object(request, object_id, from_field)
        if row is None:
            # Django would redirect with a message; a wrong id is simply not there, in any tenant.
            raise Http404
        return row

    def get_list_display(self, request: HttpRequest) -> Sequence[Any]:
        columns = list(super().get_list_display(request))
        if request.user.is_superuser and self.tenant_path == "tenant" and "tenant" not in columns:
            columns.append("tenant")
        return columns

    def get_list_filter(self, request: HttpRequest) -> list[Any]:
        filters = list(self.list_filter)
        if request.user.is_superuser and self.tenant_path == "tenant":
            filters.append("tenant")
        return [
            (name, TenantRelatedFilter)
            if isinstance(name, str) and self.model._meta.get_field(name).is_relation
            else name
            for name in filters
        ]

    def get_list_select_related(self, request: HttpRequest) -> Sequence[str]:
        return (*self.list_select_related, *(("tenant",) if self.tenant_path == "tenant" else ()))

    list_select_related: Sequence[str] = ()
    more_lookups: frozenset[str] = frozenset()
    """Query parameters of the list beside its filters, for links from other pages."""

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest) -> bool:
        # Attack: Django allows any column of the model in the query string, so that
        # ?password__startswith=... tells a secret letter by letter.
        if lookup in self.more_lookups:
            return True
        column, _, comparison = lookup.partition("__")
        return (
            column in {"tenant", *map(_parameter, self.list_filter)}
            # What list filters write themselves; a regex or a range of nonsense would end in the database.
            and comparison in ("", "exact", "id__exact", "isnull")
            and super().lookup_allowed(lookup, value, request)
        )

    def get_changelist(self, request: HttpRequest, **options: Any) -> type[ShownList]:
        return ShownList

    def numbered(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        """The rows of one page of the list, with what is counted beside each."""
        return rows

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        return super().get_search_results(request, queryset, search_term.replace("\x00", ""))

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        if any("\x00" in value for _, values in request.GET.lists() for value in values):
            raise SuspiciousOperation  # PostgreSQL knows no NUL: a 400, not a 500
        return super().changelist_view(request, extra_context)

    def has_act_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        """Who may use the page's own actions."""
        return self.may_enter(request)

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        """What happened to this row is in the audit, not in a log of the admin's own."""
        row = self.get_object(request, object_id)
        return HttpResponseRedirect(
            f"{reverse('admin:provisioning_auditrecord_changelist')}?{self.audit_column}={row.pk}"
        )

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        raise PermissionDenied

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Inlines are read-only, and relations are made by services."""

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        raise PermissionDenied

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        raise PermissionDenied

    # Django's own log would keep names of people, and no tenant; services write the audit.
    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> None: ...

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> None: ...

    def log_deletion(self, request: HttpRequest, obj: Any, object_repr: str) -> None: ...

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        context = dict(extra_context or {})
        if object_id is not None:
            context |= self.beside(request, object_id)
        try:
            return super().changeform_view(request, object_id, form_url, context)
        except Invalid as refusal:
            # The transaction is undone; the same form comes back and says what the service said.
            request.refusal = refusal  # type: ignore[attr-defined]
            return super().changeform_view(request, object_id, form_url, context)

    def beside(self, request: HttpRequest, object_id: str) -> dict[str, Any]:
        """What the page of one row shows beside the row's fields, for its template."""
        return {}

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **options: Any) -> Any:
        form = super().get_form(request, obj, change=change, **options)
        refusal: Any = getattr(request, "refusal", None)
        if refusal is None:
            return form

        class Refused(form):  # type: ignore[misc, valid-type]
            def clean(self) -> Any:
                cleaned = super().clean()
                say_refusal(self, refusal)
                return cleaned

        return Refused

    def ask(
        self,
        request: HttpRequest,
        row: Model,
        form: forms.Form,
        *,
        title: str,
        lead: str,
        submit: str,
        act: Callable[[dict[str, Any]], Any],
        danger: bool = False,
        facts: Sequence[tuple[str, Any]] = (),
        back: str = "",
    ) -> HttpResponse:
        """One question before an act: GET shows it, POST does it.

        `act` gets the cleaned data and returns an Outcome, a sentence for the next page, or a whole response.
        """
        back = back or self.address_of(row)
        if request.method == "POST" and form.is_valid():
            try:
                answer = act(form.cleaned_data)
            except Invalid as refusal:
                say_refusal(form, refusal)
            else:
                if isinstance(answer, HttpResponse):
                    return answer
                say(request, answer)
                return HttpResponseRedirect(back)
        return TemplateResponse(
            request,
            "provisioning/admin/ask.html",
            {
                **self.admin_site.each_context(request),
                "opts": self.opts,
                "original": row,
                "title": title,
                "lead": lead,
                "form": form,
                "submit": submit,
                "danger": danger,
                "facts": facts,
                "back": back,
            },
        )

    def ask_foreseen(
        self,
        request: HttpRequest,
        row: Model,
        foreseen: Decision,
        form: type[forms.Form] = ReasonForm,
        *,
        lead: str,
        submit: str,
        **page: Any,
    ) -> HttpResponse:
        """`ask` about an act that was decided as things stand: where it would be refused the page says why, and has
        no button."""
        if foreseen.verdict is Verdict.REFUSED:
            lead = f"This cannot be done. {meaning(foreseen.reason)}"
            return self.ask(request, row, ConfirmForm(), lead=lead, submit="", **page)
        return self.ask(request, row, form(said(request)), lead=lead, submit=submit, **page)

    def address_of(self, row: Model) -> str:
        return reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_change", args=[row.pk])


def link_to(row: Model) -> str:
    """A row of the domain as a link to its page."""
    meta = row._meta
    return format_html(
        '<a class="hub-link" href="{}">{}</a>',
        reverse(f"admin:{meta.app_label}_{meta.model_name}_change", args=[row.pk]),
        row,
    )


def pretty(document: Any) -> str:
    return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False, default=str)


def shown_as_json(document: Any) -> str:
    return format_html('<pre class="hub-json">{}</pre>', pretty(document))


def said(request: HttpRequest) -> QueryDict | None:
    """What a form is bound to: a POST, be it empty, is an answer; a GET is the question."""
    return request.POST if request.method == "POST" else None


def say_refusal(form: forms.BaseForm, refusal: Invalid) -> None:
    form.add_error(refusal.field if refusal.field in form.fields else None, refusal.message)


def say(request: HttpRequest, answer: Outcome | str | None) -> None:
    match answer:
        case Outcome(accepted=True):
            messages.success(request, meaning(answer.reason))
        case Outcome():
            messages.error(request, f"Nothing was changed. {meaning(answer.reason)}")
        case str():
            messages.success(request, answer)
