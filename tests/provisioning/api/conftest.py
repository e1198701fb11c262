"""The scene of the admin's tests, read by programs."""

from tests.provisioning.admin.conftest import admin, enter, ours, root, superuser, theirs

__all__ = ["admin", "enter", "ours", "root", "superuser", "theirs"]
