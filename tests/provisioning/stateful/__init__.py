"""Stories of events, told to the hub and to a model of it."""

import pytest

pytest.register_assert_rewrite(f"{__name__}.machine", f"{__name__}.model")
