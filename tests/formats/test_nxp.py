from __future__ import annotations

import pytest

from otagate.formats import nxp
from tests.formats.inner import jn516x, jn518x


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (jn516x(), "nxp-jn516x"),
        (jn516x(swapped=True), "nxp-jn516x"),
        (jn518x(), "nxp-jn518x"),
        (jn518x(stack=0x0400_DCB8, signature=0x9844_7903), "nxp-jn518x"),
        (b"", None),
        (jn516x()[:11], None),
        (jn518x()[:35], None),
        (bytes(200), None),
        pytest.param(jn518x(checksum_off_by=1), None, id="vectors that do not add up"),
        pytest.param(jn518x(stack=0x2000_8000), None, id="memory of another chip"),
        pytest.param(jn518x(signature=0), None, id="no signature"),
    ],
)
def test_an_image_is_recognised_by_its_start_and_nothing_less(body: bytes, name: str | None) -> None:
    assert nxp.recognise(memoryview(body)) == name
