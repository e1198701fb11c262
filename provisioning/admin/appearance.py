"""How the admin looks and what its sidebar offers. Data for the UNFOLD setting; knows no model."""

from typing import Any

from django.urls import reverse_lazy

_PAGES = "provisioning.admin.site."


def _item(
    title: str, icon: str, page: str, *, superuser: bool = False, badge: str = "", active: str = ""
) -> dict[str, Any]:
    """`active` names what says whether its page is the one that is shown; by default the address does."""
    item: dict[str, Any] = {"title": title, "icon": icon, "link": reverse_lazy(f"admin:{page}")}
    if active:
        item["active"] = f"{_PAGES}{active}"
    if superuser:
        item["permission"] = f"{_PAGES}is_superuser"
    if badge:
        item |= {"badge": f"{_PAGES}{badge}", "badge_variant": "warning"}
    return item


UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "Identity Hub",
    "SITE_HEADER": "Identity Hub",
    "SITE_SUBHEADER": f"{_PAGES}subheader",
    "SITE_SYMBOL": "hub",
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": f"{_PAGES}icon"}],
    "SITE_URL": "/me/",
    "SHOW_HISTORY": True,
    "SHOW_VIEW_ON_SITE": False,
    "SHOW_BACK_BUTTON": True,
    "BORDER_RADIUS": "8px",
    "DASHBOARD_CALLBACK": "provisioning.admin.dashboard.numbers",
    "STYLES": [f"{_PAGES}style_sheet"],
    "SCRIPTS": [f"{_PAGES}script"],
    "COMMAND": {"search_models": False, "show_history": False},
    # A calm blue; the 600 and 700 steps carry white text at more than 4.5 to 1.
    "COLORS": {
        "primary": {
            "50": "oklch(97% .014 254.6)",
            "100": "oklch(93.2% .032 255.6)",
            "200": "oklch(88.2% .059 254.1)",
            "300": "oklch(80.9% .105 251.8)",
            "400": "oklch(70.7% .165 254.6)",
            "500": "oklch(60% .2 259.8)",
            "600": "oklch(51.6% .215 262.9)",
            "700": "oklch(45.8% .2 264.4)",
            "800": "oklch(40% .18 265.6)",
            "900": "oklch(35.9% .144 265.5)",
            "950": "oklch(26.2% .09 267.9)",
        },
    },
    "SIDEBAR": {
        "show_search": True,
        "command_search": True,
        "show_all_applications": False,
        "navigation": [
            {
                "items": [
                    _item("Start", "home", "index"),
                    _item("Why can't they sign in?", "person_search", "find"),
                    _item("Posture", "verified_user", "posture", active="shows_posture"),
                ],
            },
            {
                "title": "People",
                "items": [
                    _item("Identities", "badge", "provisioning_identity_changelist"),
                    _item("Accounts", "id_card", "provisioning_account_changelist"),
                    _item("Sessions", "devices", "provisioning_opensession_changelist"),
                    _item("Directory groups", "groups", "provisioning_directorygroup_changelist"),
                    _item("Entitlements", "key", "provisioning_entitlement_changelist"),
                ],
            },
            {
                "title": "To decide",
                "items": [
                    _item(
                        "Findings", "help_center", "provisioning_finding_changelist", badge="open_findings"
                    ),
                    _item("Runs", "published_with_changes", "provisioning_reconciliationrun_changelist"),
                ],
            },
            {
                "title": "Sources",
                "items": [
                    _item("Connections", "cable", "provisioning_connection_changelist"),
                    _item("Rosters", "list_alt", "provisioning_roster_changelist"),
                    _item("Schemas", "schema", "provisioning_schemaextension_changelist"),
                    _item("Tenants", "domain", "provisioning_tenant_changelist", active="shows_tenants"),
                ],
            },
            {
                "title": "Records",
                "items": [
                    _item("Provisioning log", "swap_horiz", "provisioning_scimrequest_changelist"),
                    _item("Audit", "receipt_long", "provisioning_auditrecord_changelist"),
                    _item("Logins", "login", "saml_sp_loginattempt_changelist"),
                    _item("Outbox", "outbox", "provisioning_outboxmessage_changelist", superuser=True),
                    _item(
                        "Schedule", "schedule", "django_celery_beat_periodictask_changelist", superuser=True
                    ),
                ],
            },
        ],
    },
}
