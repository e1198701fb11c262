"""The session store: Django's database store over our own table, which knows whose session it is."""

from typing import Any

from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore as DatabaseStore

from provisioning.models import Identity, Session

FACTS = "_hub_session_facts"
"""Session key of the columns that `services.sessions.open` wants on the row."""


class SessionStore(DatabaseStore):
    @classmethod
    def get_model_class(cls) -> type[Session]:
        return Session

    def create_model_instance(self, data: dict[str, Any]) -> Session:
        row: Session = super().create_model_instance(data)
        facts = data.get(FACTS, {})
        if identity_id := data.get(SESSION_KEY):
            row.identity_id = identity_id
            row.tenant_id = facts.get("tenant_id")
            if not facts:
                row.tenant_id = Identity.objects.values_list("tenant_id", flat=True).get(pk=identity_id)
        row.connection_id = facts.get("connection_id")
        row.account_id = facts.get("account_id")
        row.session_index = facts.get("session_index", "")[:256]
        row.user_agent = facts.get("user_agent", "")[:256]
        if created_at := facts.get("created_at"):
            row.created_at = created_at
        return row
