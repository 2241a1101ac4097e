"""Z-Wave from the order to the version that was read back, on the real driver and its server."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.journeys.zwave import firmware, journey, require_node


@pytest.fixture(scope="module", autouse=True)
def _node_is_there() -> None:
    require_node()


@pytest.mark.asyncio
async def test_a_node_is_brought_to_a_new_version(tmp_path: Path) -> None:
    image = firmware()
    async with journey(tmp_path, {"id": 2}) as run:
        update = await run.ended(await run.order(2, image))
        assert update.state == "succeeded", update
        await run.assert_updated(2, image)
