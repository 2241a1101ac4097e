"""Advisories as a file: what is right is read, and what is wrong is told with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from otagate.model.errors import ConfigError
from otagate.quirks.advisories import load_advisories, read_advisories, read_file

GOOD = """
[[advisory]]
codes = [0x117C]
max_version = 0x20
sentence = "It dies"
source = "us"

[[advisory]]
"""


def test_the_packaged_advisories_say_why_and_where_it_is_told() -> None:
    assert len(load_advisories()) >= 5
    assert all(each.sentence[0].isupper() and each.source.startswith("https://") for each in load_advisories())


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ('sentence = "a"\nsource = "b"', "line 8: this advisory is about everything: give one of codes, products"),
        ('modles = ["x"]\nsentence = "a"\nsource = "b"', "line 8: this advisory is wrong at modles"),
        ('codes = [70000]\nsentence = "a"\nsource = "b"', "line 8: this advisory is wrong at codes.0"),
        ('codes = ["117C"]\nsentence = "a"\nsource = "b"', "line 8: this advisory is wrong at codes.0"),
        ('sha256 = ["AB"]\nsentence = "a"\nsource = "b"', "line 8: this advisory is wrong at sha256.0"),
        ('models = ["x"]\nsource = "b"', "line 8: this advisory is wrong at sentence"),
        ("codes = [", "this is no TOML"),
        ("[[warning]]", "entries begin with [[advisory]]; warning means nothing here"),
    ],
)
def test_a_wrong_file_is_refused_with_the_line_and_the_key(wrong: str, told: str) -> None:
    with pytest.raises(ConfigError) as error:
        read_advisories(GOOD + wrong)
    assert told in str(error.value)


def test_an_operators_file_is_read_like_ours_and_named_in_what_is_wrong_with_it(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    with pytest.raises(ConfigError, match=r"mine\.toml cannot be read: No such file"):
        read_file(file)
    file.write_text(GOOD + 'models = ["Lamp*"]\nsentence = "a"\nsource = "b"')
    assert [each.models for each in read_file(file)] == [(), ("Lamp*",)]
    file.write_text(GOOD)
    with pytest.raises(ConfigError, match=r"mine\.toml: line 8: this advisory is wrong at sentence"):
        read_file(file)
    file.write_bytes(b"\xff")
    with pytest.raises(ConfigError, match="no text in UTF-8"):
        read_file(file)
