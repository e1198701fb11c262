"""The pages about directory groups, and about what the hub gives to their members."""

from typing import Any

from django import forms
from django.contrib import admin
from django.core.paginator import Paginator
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import URLPattern, path
from unfold.decorators import action, display
from unfold.widgets import UnfoldAdminSelectWidget

from provisioning.models import DirectoryGroup, Entitlement, EntitlementMapping, Membership
from provisioning.services import configuration

from .base import TenantAdmin, actor_of, said, tenant_of
from .forms import ReasonField, ReasonForm

MEMBERS_A_PAGE = 50


class _MapForm(ReasonForm):
    def __init__(self, *arguments: Any, name: str, rows: QuerySet[Any], **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.fields[name] = forms.ModelChoiceField(queryset=rows, widget=UnfoldAdminSelectWidget)
        self.order_fields([name, "reason"])


def _mappings(row: DirectoryGroup | Entitlement) -> list[EntitlementMapping]:
    return list(
        row.mappings.filter(tenant_id=row.tenant_id).select_related("entitlement", "group__connection")
    )


class _Mapped(TenantAdmin):
    """Shared by the two ends of a mapping."""

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.unmap_view)
        name = f"provisioning_{self.opts.model_name}_unmap"
        return [
            path("<path:object_id>/unmap/<uuid:mapping_id>/", view, name=name),
            *super().get_urls(),
        ]

    def unmap_view(self, request: HttpRequest, object_id: str, mapping_id: Any) -> HttpResponse:
        row = self.get_object(request, object_id)
        mapping = next((found for found in _mappings(row) if found.pk == mapping_id), None)
        if mapping is None or (mapping.entitlement.grants_staff and not request.user.is_superuser):
            raise Http404

        def act(data: dict[str, Any]) -> str:
            configuration.unmap_entitlement(mapping=mapping, actor=actor_of(request), reason=data["reason"])
            return f"{mapping.group} no longer gives {mapping.entitlement}."

        return self.ask(
            request,
            row,
            ReasonForm(said(request)),
            title=f"{mapping.group} gives {mapping.entitlement}",
            lead="Take this mapping away? The members lose the entitlement with their next request, unless another "
            "group gives it too.",
            submit="Take it away",
            danger=True,
            act=act,
        )


@admin.register(DirectoryGroup)
class DirectoryGroupPage(_Mapped):
    list_display = ["display_name", "connection", "members", "gives", "updated_at"]
    list_filter = ["connection"]
    list_select_related = ("connection",)
    search_fields = ["display_name_key", "=external_id"]
    search_help_text = "Name, or a whole externalId"
    change_form_template = "provisioning/admin/group.html"
    actions_detail = ["map_entitlement"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[DirectoryGroup]:
        return super().get_queryset(request).prefetch_related("mappings__entitlement")

    def numbered(self, rows: QuerySet[DirectoryGroup]) -> QuerySet[DirectoryGroup]:
        members = (
            Membership.objects.filter(tenant=OuterRef("tenant"), group=OuterRef("pk"))
            .order_by()
            .values("group")
            .annotate(number=Count("pk"))
        )
        return rows.annotate(member_count=Subquery(members.values("number")))

    @display(description="Members")
    def members(self, group: DirectoryGroup) -> int:
        return group.member_count or 0  # type: ignore[attr-defined]

    @display(description="Gives")
    def gives(self, group: DirectoryGroup) -> str:
        return ", ".join(str(mapping.entitlement) for mapping in group.mappings.all()) or "—"

    def beside(self, request: HttpRequest, object_id: str) -> dict[str, Any]:
        group = self.get_object(request, object_id)
        members = (
            Membership.objects.filter(tenant_id=group.tenant_id, group=group)
            .select_related("account__identity")
            .order_by("id")
        )
        page = Paginator(members, MEMBERS_A_PAGE).get_page(request.GET.get("p"))
        return {"members": page, "mappings": _mappings(group)}

    @action(
        description="Map to an entitlement", url_path="map-entitlement", icon="add_link", permissions=["act"]
    )
    def map_entitlement(self, request: HttpRequest, object_id: str) -> HttpResponse:
        group = self.get_object(request, object_id)
        offered = Entitlement.objects.filter(tenant_id=group.tenant_id)
        if not request.user.is_superuser:
            offered = offered.filter(grants_staff=False)

        def act(data: dict[str, Any]) -> str:
            configuration.map_entitlement(
                entitlement=data["entitlement"],
                group=group,
                actor=actor_of(request),
                reason=data["reason"],
            )
            return f"{group} gives {data['entitlement']} from now on."

        return self.ask(
            request,
            group,
            _MapForm(said(request), name="entitlement", rows=offered),
            title=f"What does {group} give?",
            lead="Every live member of the group, now and later, holds the entitlement.",
            submit="Map it",
            act=act,
        )


class EntitlementForm(forms.ModelForm):
    reason = ReasonField()

    class Meta:
        model = Entitlement
        fields = ["tenant", "name", "kind", "description", "grants_staff"]
        help_texts = {"grants_staff": "Whoever holds it administers the whole tenant here."}


@admin.register(Entitlement)
class EntitlementPage(_Mapped):
    form = EntitlementForm
    list_display = ["name", "kind", "grants_staff", "given_by", "description"]
    list_filter = ["kind", "grants_staff"]
    search_fields = ["name", "description"]
    change_form_template = "provisioning/admin/entitlement.html"
    actions_detail = ["map_group"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Entitlement]:
        return super().get_queryset(request).prefetch_related("mappings__group", "asserted_by")

    @display(description="Given by")
    def given_by(self, entitlement: Entitlement) -> str:
        names = [str(mapping.group) for mapping in entitlement.mappings.all()]
        names += [f"{row.value} (by login)" for row in entitlement.asserted_by.all()]
        return ", ".join(dict.fromkeys(names)) or "Nobody"

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.may_enter(request)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        plain = ["name", "kind", "description"]
        if obj is not None:
            return [*plain, "grants_staff"]
        # Rights over the tenant itself are the installation's to give.
        asked = ["tenant", *plain, "grants_staff"] if tenant_of(request) is None else plain
        return [*asked, "reason"]

    def save_model(self, request: HttpRequest, obj: Entitlement, form: Any, change: bool) -> None:
        if change:
            return super().save_model(request, obj, form, change)
        made = configuration.create_entitlement(
            tenant=obj.tenant if request.user.is_superuser else request.user.tenant,
            name=obj.name,
            kind=obj.kind,
            description=obj.description,
            grants_staff=obj.grants_staff,
            actor=actor_of(request),
            reason=form.cleaned_data["reason"],
        )
        obj.pk = made.pk
        return None

    def beside(self, request: HttpRequest, object_id: str) -> dict[str, Any]:
        entitlement = self.get_object(request, object_id)
        asserted = entitlement.asserted_by.filter(tenant_id=entitlement.tenant_id)
        return {"mappings": _mappings(entitlement), "asserted": asserted.select_related("connection")}

    @action(description="Map a group to it", url_path="map-group", icon="add_link", permissions=["act"])
    def map_group(self, request: HttpRequest, object_id: str) -> HttpResponse:
        entitlement = self.get_object(request, object_id)
        if entitlement.grants_staff and not request.user.is_superuser:
            raise Http404
        rows = DirectoryGroup.objects.filter(tenant_id=entitlement.tenant_id)

        def act(data: dict[str, Any]) -> str:
            configuration.map_entitlement(
                entitlement=entitlement,
                group=data["group"],
                actor=actor_of(request),
                reason=data["reason"],
            )
            return f"{data['group']} gives {entitlement} from now on."

        return self.ask(
            request,
            entitlement,
            _MapForm(said(request), name="group", rows=rows),
            title=f"Which group gives {entitlement}?",
            lead="Every live member of the group, now and later, holds the entitlement."
            + (" Its holders administer the whole tenant." if entitlement.grants_staff else ""),
            submit="Map it",
            danger=entitlement.grants_staff,
            act=act,
        )
