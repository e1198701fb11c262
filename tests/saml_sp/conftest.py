"""The parties of a login, for every test of this face."""

from .parties import administrator, browser, connection, idp, sp_certificate, tenant

__all__ = ["administrator", "browser", "connection", "idp", "sp_certificate", "tenant"]
