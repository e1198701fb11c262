"""A real PostgreSQL and Redis for a machine that has neither. Knows no production, which refuses it."""
