"""The page on which everything on record about one person stands in one list."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import NoReverseMatch, reverse
from django.utils.dateparse import parse_datetime

from provisioning.models import Identity
from provisioning.selectors import story

SHOWN_BESIDE = 25
"""Entries on the person's own page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """An entry with the addresses of its links."""

    entry: story.Entry
    links: list[tuple[str, str]]
    source: str


def shown(page: story.Page) -> list[Shown]:
    return [
        Shown(
            entry=entry,
            links=[(link.label, address) for link in entry.links if (address := _address(link))],
            source=story.SOURCES.get(entry.source, entry.source),
        )
        for entry in page.entries
    ]


def _address(link: story.Link) -> str:
    """The attempts' page is another floor's: where that is not installed, there is nothing to lead to."""
    try:
        match link.page:
            case "loginattempt":
                return f"{reverse('admin:saml_sp_loginattempt_changelist')}?{urlencode({'q': link.key})}"
            case "scimrequest":
                address = reverse("admin:provisioning_scimrequest_changelist")
                return f"{address}?{urlencode({'request_id': link.key})}"
            case "scimrequest-row":
                return reverse("admin:provisioning_scimrequest_change", args=[link.key])
        return reverse(f"admin:provisioning_{link.page}_change", args=[link.key])
    except NoReverseMatch:
        return ""


class StoryPage:
    """For the page of `Identity`."""

    def timeline_view(self: Any, request: HttpRequest, object_id: str) -> HttpResponse:
        identity: Identity = self.get_object(request, object_id)
        source = request.GET.get("source", "")
        kind = request.GET.get("kind", "")
        source = source if source in story.SOURCES else ""
        kind = kind if kind in story.KINDS else ""
        before = _moment(request.GET.get("before", ""))
        found = story.page(identity, source=source, kind=kind, before=before)
        chosen = {"source": source, "kind": kind}
        older = urlencode({**chosen, "before": found.older.isoformat()}) if found.older else ""
        return TemplateResponse(
            request,
            "provisioning/admin/timeline.html",
            {
                **self.admin_site.each_context(request),
                "opts": self.opts,
                "original": identity,
                "title": f"What happened to {identity}",
                "entries": shown(found),
                "filters": [
                    ("Source", _choices("source", story.SOURCES, chosen)),
                    (
                        "Kind",
                        _choices("kind", {key: words for key, (words, _) in story.KINDS.items()}, chosen),
                    ),
                ],
                "older": f"?{older}" if older else "",
                "newest": f"?{urlencode(chosen)}" if before else "",
                "back": self.address_of(identity),
            },
        )


def _choices(name: str, words: dict[str, str], chosen: dict[str, str]) -> list[tuple[str, str, bool]]:
    """(words, address, whether it is chosen)."""
    return [
        (text, f"?{urlencode({**chosen, name: key})}", chosen[name] == key)
        for key, text in {"": "All", **words}.items()
    ]


def _moment(text: str) -> Any:
    try:
        found = parse_datetime(text)
    except ValueError:
        return None
    return found if found is not None and found.tzinfo else None
