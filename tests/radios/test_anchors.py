"""Makers' own certificate authorities come out of the installed zigpy."""

from __future__ import annotations

import ssl

import pytest

from otagate.radios.anchors import anchor_for


@pytest.mark.parametrize("host", ["fw.ota.homesmart.ikea.com", "fw.ota.homesmart.ikea.net", "OTAU.meethue.com"])
def test_the_authority_of_a_maker_is_one_that_tls_takes(host: str) -> None:
    anchor = anchor_for(host)
    assert anchor is not None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=anchor)
    assert context.get_ca_certs()


@pytest.mark.parametrize("host", ["example.org", "ikea.com", "evil-fw.ota.homesmart.ikea.com", ""])
def test_no_other_host_is_trusted_by_it(host: str) -> None:
    assert anchor_for(host) is None


def test_a_zigpy_that_has_it_no_longer_leaves_the_public_authorities(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("zigpy.ota.providers.IKEA_CERT")
    assert anchor_for("fw.ota.homesmart.ikea.com") is None
