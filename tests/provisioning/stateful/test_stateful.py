"""Thousands of pushes, logins, runs and acts in any order: the hub is what a model of a page says, and no law breaks.

`make laws` tells many more stories than CI, by other dice each time.
"""

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from .machine import Hub, build


@pytest.mark.django_db
def test_the_hub_is_what_the_model_says(request: pytest.FixtureRequest) -> None:
    stories, steps = (int(request.config.getoption(name)) for name in ("--law-stories", "--law-steps"))

    class World(Hub):
        world = build()

    run_state_machine_as_test(
        World,
        settings=settings(
            max_examples=stories,
            stateful_step_count=steps,
            deadline=None,
            # In CI the same stories each time: what fails there was broken by the change.
            derandomize=stories <= 20,
            suppress_health_check=list(HealthCheck),
            phases=(Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink),
        ),
    )
