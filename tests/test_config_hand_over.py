"""How a stick is borrowed from another program, as it is configured."""

from __future__ import annotations

from pathlib import Path

import pytest

from otagate.config import load
from otagate.model.errors import ConfigError

RADIO = "radios:\n  - name: zigbee0\n    type: znp\n    path: /dev/ttyACM0\n"


def read(folder: Path, hand_over: str, radio: str = RADIO) -> tuple[str, ...]:
    """The command that takes the stick."""
    config = folder / "otagate.yaml"
    config.write_text(f"state_dir: state\n{radio}    hand_over: {hand_over}\n")
    found = load(config, {}).radios[0].hand_over
    assert found is not None
    return found.take


@pytest.mark.parametrize(
    ("take", "words"),
    [
        ("zigbee2mqtt.service", ("systemctl", "start", "zigbee2mqtt.service")),
        ("otagate-borrows@zigbee0.target", ("systemctl", "start", "otagate-borrows@zigbee0.target")),
        ("docker stop zigbee2mqtt", ("docker", "stop", "zigbee2mqtt")),
        ("'/opt/let go' \"a b\" $HOME;", ("/opt/let go", "a b", "$HOME;")),
    ],
)
def test_a_text_is_a_unit_to_be_started_or_a_command_in_words_that_no_shell_reads(take: str, words: tuple[str, ...], tmp_path: Path) -> None:
    quoted = take.replace("'", "''")
    assert read(tmp_path, f"{{take: '{quoted}', give_back: x.service}}") == words


@pytest.mark.parametrize(
    ("hand_over", "radio", "told"),
    [
        ("{take: x.service, give_back: y.service}", RADIO + "    network: form\n", "nothing is formed on a stick that belongs to another program"),
        ("{take: x.service}", RADIO, "radios[0].hand_over.give_back: is missing"),
        ("{take: '', give_back: y.service}", RADIO, "is no command"),
        ("{take: [], give_back: y.service}", RADIO, "is no command"),
        ("{take: [''], give_back: y.service}", RADIO, "is no command"),
        ("{take: 'echo \"', give_back: y.service}", RADIO, "cannot be read as a command"),
        ("{take: x.service, give_back: y.service, max_minutes: 4}", RADIO, "too small"),
        ("{take: x.service, give_back: y.service, max_minutes: 1441}", RADIO, "too large"),
        ("{take: x.service, give_back: y.service, to: ''}", RADIO, "is no name of a program"),
        ("{take: x.service, give_back: y.service, adopt: {from: deconz, path: /data}}", RADIO, "radios[0].hand_over.adopt.from"),
        ("{take: x.service, give_back: y.service, adopt: {from: zha}}", RADIO, "radios[0].hand_over.adopt.path: is missing"),
        (
            "{take: x.service, give_back: y.service}",
            "radios:\n  - name: zwave0\n    type: zwave-js\n    url: ws://127.0.0.1:3000\n",
            "is not for type zwave-js",
        ),
    ],
)
def test_what_cannot_be_is_refused_in_a_line(hand_over: str, radio: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"otagate\.yaml") as refused:
        read(tmp_path, hand_over, radio)
    assert told in str(refused.value)
    assert "radios[0].hand_over" in str(refused.value)
