"""Thousands of pushes, logins, runs and acts in any order: the hub is what a model of a page says, and no law breaks.

`make laws` tells many more stories than CI, by other dice each time. Two tests tell half of them each, so that two
workers share them.
"""

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from .machine import Hub, build


@pytest.mark.django_db
@pytest.mark.parametrize("half", ["one half", "the other half"])
def test_the_hub_is_what_the_model_says(half: str, request: pytest.FixtureRequest) -> None:
    stories, steps = (int(request.config.getoption(name)) for name in ("--law-stories", "--law-steps"))
    dice = request.config.getoption("--law-dice")

    class World(Hub):
        world = build()

    run_state_machine_as_test(
        # In CI the same stories each time: what fails there was broken by the change.
        seed(f"{dice}, {half}")(World),
        settings=settings(
            max_examples=stories // 2,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            phases=(Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink),
        ),
    )
