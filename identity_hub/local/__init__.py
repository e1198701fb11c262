"""A real PostgreSQL and a real Redis for a machine that has neither. Knows nothing of production, which refuses it."""
