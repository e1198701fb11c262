"""What can be the id of a resource of this server. Knows no resource."""

from uuid import UUID


def identifier(text: str) -> UUID | None:
    """The id, or None for what no id looks like. RFC 7643 3.1 makes ids opaque: another spelling is none."""
    try:
        found = UUID(text)
    except ValueError:
        return None
    return found if str(found) == text.lower() else None
