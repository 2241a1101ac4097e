"""The Z-Wave rig, or a skip that says what is missing for it."""

import pytest

from otagate_rig.zwave import missing_node


@pytest.fixture(scope="session", autouse=True)
def _node_is_there() -> None:
    missing = missing_node()
    if missing is not None:
        pytest.skip(missing)
