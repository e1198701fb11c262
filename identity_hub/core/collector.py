"""Python's search for reference cycles, and when it is in the way. Knows no object."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """For whoever makes ten thousand objects that refer to none of their makers: they go when nobody holds them.

    The search would walk over all of them again and again as they are made, which takes four tenths of the time. It
    goes on afterwards, so what does refer to itself is found between two batches. Several threads may be inside: the
    first one out lets it go on.
    """
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()
