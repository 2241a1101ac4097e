from __future__ import annotations

import asyncio

import pytest

from otagate.model.errors import RadioUnavailable
from otagate.model.ids import RadioName
from otagate.radios.questions import Questions


@pytest.mark.asyncio
async def test_a_question_ends_with_the_line_and_the_next_life_asks_anew() -> None:
    questions = Questions(RadioName("zigbee0"))
    asked = asyncio.Event()

    async def ask() -> None:
        async with questions.asking():
            asked.set()
            await asyncio.Event().wait()

    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        asker = group.create_task(_refused(ask()))
        await asked.wait()
        questions.end()
        assert await asker == "radio zigbee0 was lost meanwhile"
    async with questions.asking():
        await asyncio.sleep(0)
    questions.end()


@pytest.mark.asyncio
async def test_a_bound_of_the_question_itself_is_told_as_what_it_is() -> None:
    with pytest.raises(TimeoutError):
        async with Questions(RadioName("zigbee0")).asking(), asyncio.timeout(0):
            await asyncio.Event().wait()


async def _refused(work: object) -> str:
    with pytest.raises(RadioUnavailable) as error:
        await work  # type: ignore[misc]
    return str(error.value)
