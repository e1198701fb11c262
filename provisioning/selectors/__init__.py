"""Reads. Every selector takes the tenant, or something that carries it; none writes."""
