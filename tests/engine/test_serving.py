"""What the session of a device learns of an update that goes on after an earlier attempt."""

from __future__ import annotations

import pytest

from otagate.engine.serving import serve_order
from otagate.model.lifecycle import State
from otagate.model.orders import Serve
from tests.policy.cases import update
from tests.policy.test_trust import IMAGE


@pytest.mark.parametrize(("bytes_sent", "begun"), [(0, False), (1, True), (500, True)])
def test_only_what_an_earlier_attempt_sent_can_be_gone_on_with(bytes_sent: int, begun: bool) -> None:
    order = serve_order(update(state=State.OFFERING, bytes_sent=bytes_sent), memoryview(bytes(1000)), IMAGE)
    assert isinstance(order, Serve)
    assert order.begun is begun
