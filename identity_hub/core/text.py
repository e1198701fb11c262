"""Which text can be kept. Knows no meaning of it."""

import re

# PostgreSQL's text and jsonb hold no NUL, UTF-8 no half of a surrogate pair.
_UNKEEPABLE = re.compile(r"[\x00\ud800-\udfff]")


def keepable(text: str) -> bool:
    return _UNKEEPABLE.search(text) is None


def made_keepable(text: str) -> str:
    """The same, with a visible sign in the place of what cannot be kept."""
    return _UNKEEPABLE.sub("\ufffd", text)


def all_keepable(value: object) -> bool:
    """Whether every text within a value of JSON can be kept."""
    match value:
        case str():
            return keepable(value)
        case dict():
            return all(all_keepable(key) and all_keepable(one) for key, one in value.items())
        case list() | tuple():
            return all(map(all_keepable, value))
    return True
