"""The cellar: small things that every floor may use. Knows no tenant, no account, no wire format."""
