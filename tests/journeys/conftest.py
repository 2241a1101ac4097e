"""The asserts of the shared module explain themselves as those of tests do."""

import pytest

pytest.register_assert_rewrite("tests.journeys.hub")
