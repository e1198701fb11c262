"""The operations API: what administrators' programs may read, inside their tenant. It writes nothing."""
