"""The search for reference cycles pauses for a batch, and never for longer."""

import gc
from threading import Barrier, Thread

import pytest

from identity_hub.core.collector import uncollected


def fail() -> None:
    with uncollected():
        assert not gc.isenabled()
        with uncollected():
            pass
        assert not gc.isenabled(), "who is inside another one ends nothing"
        raise ZeroDivisionError


def test_it_pauses_inside_and_goes_on_afterwards_whatever_happens() -> None:
    with pytest.raises(ZeroDivisionError):
        fail()
    assert gc.isenabled()


def test_it_stays_as_it_was_where_somebody_else_has_paused_it() -> None:
    gc.disable()
    try:
        with uncollected():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_threads_inside_at_the_same_time_leave_it_going() -> None:
    together = Barrier(4)

    def work() -> None:
        for _ in range(200):
            together.wait(timeout=30)
            with uncollected():
                pass

    threads = [Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert gc.isenabled()
