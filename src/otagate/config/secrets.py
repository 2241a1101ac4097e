"""Secrets: each lies in a file of its own or in a credential that systemd hands over, never in the YAML.

No error here repeats what was written as the place of a secret: it may have been the secret itself.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from otagate.config.document import Document
from otagate.config.kinds import CREDENTIAL, TOKEN, Secret, secret_of
from otagate.config.problems import Loc, Problem, key_name
from otagate.config.section import Section
from otagate.config.settings import HubSettings
from otagate.model.errors import ConfigError

MAX_BYTES = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What the reader of a configuration can see of its secrets.

    `credentials`: systemd has handed some over. `by_hand`: an operator reads the file beside the service, which may see more than they do; what
    they cannot see is not judged then.
    """

    credentials: bool
    by_hand: bool

    def hides(self, file: Path, written: object) -> bool:
        """Whether only the service sees this secret."""
        if not self.by_hand:
            return False
        if _is_credential(written) and not self.credentials:
            return True
        try:
            return file.exists() and not os.access(file, os.R_OK)
        except OSError:
            return True  # not even the folder can be looked at


def read_secret(file: Path, *, at_least: int) -> str:
    """The one line in this file, of so many characters or more. Raises ConfigError with the end of a sentence that does not name the file."""
    mode, text = _opened(file)
    if mode & (stat.S_IROTH | stat.S_IWOTH | stat.S_IWGRP):
        raise ConfigError(f"the file can be read or changed by others (mode {stat.S_IMODE(mode):04o}): chmod 0600, or 0640 for a group of its own")
    secret = text.strip()
    if not at_least <= len(secret) <= MAX_BYTES or not secret.isascii() or not secret.decode("ascii").isprintable():
        raise ConfigError(f"the file does not hold one line of plain text of {at_least} to {MAX_BYTES} characters")
    return secret.decode("ascii")


def _opened(file: Path) -> tuple[int, bytes]:
    """Mode and beginning of a plain file. Raises ConfigError."""
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a pipe in its place would be waited for
        try:
            mode = os.fstat(descriptor).st_mode
            if stat.S_ISREG(mode):
                return mode, os.read(descriptor, MAX_BYTES + 1)
        finally:
            os.close(descriptor)
    except FileNotFoundError:
        raise ConfigError("there is no such file: write the secret into it, on one line, and chmod 0600") from None
    except OSError as error:
        raise ConfigError(f"the file cannot be read: {error.strerror}") from error
    raise ConfigError("is no plain file: give a file that holds the secret and nothing else")


def unusable_secrets(settings: HubSettings, document: Document, view: View) -> list[Problem]:
    """A problem for each secret that cannot be used, and for each token that is another's too."""
    problems: list[Problem] = []
    tokens: dict[str, Loc] = {}
    for loc, file, kind in _present(settings, document):
        written = document.at(loc)
        if view.hides(file, written):
            continue
        try:
            if _is_credential(written) and not view.credentials:
                raise ConfigError("systemd has handed over no credentials: start the hub by its unit, with LoadCredential=, or give a file")
            secret = read_secret(file, at_least=kind.at_least)
            earlier = tokens.setdefault(secret, loc) if kind.unique else loc
            if earlier != loc:
                raise ConfigError(f"the file holds the token of {key_name(earlier)} too: give each its own")
        except ConfigError as error:
            problems.append(Problem(place=document.place_of(loc), key=key_name(loc), text=str(error)))
    return problems


def _is_credential(written: object) -> bool:
    return isinstance(written, str) and written.startswith(CREDENTIAL)


def _present(settings: HubSettings, document: Document) -> Iterator[tuple[Loc, Path, Secret]]:
    """Every secret that must be there: all but the admin token, which is made on the first start where it can be."""
    admin: Loc = ("api", "token_file")
    for loc, file, kind in _named(settings, ()):
        folder = file.parent == settings.state_dir or _exists(file.parent)
        if loc != admin or _exists(file) or not folder or _is_credential(document.at(loc)):
            yield loc, file, kind
    if settings.api.token_file is None and _exists(settings.token_file):
        yield admin, settings.token_file, TOKEN


def _exists(file: Path) -> bool:
    try:
        return file.exists()
    except OSError:
        return False


def _named(section: Section, around: Loc) -> Iterator[tuple[Loc, Path, Secret]]:
    """Every secret that the configuration names."""
    for key, info in type(section).model_fields.items():
        value, loc, kind = getattr(section, key), (*around, key), secret_of(info)
        if kind is not None and value is not None:
            yield loc, value, kind
        for index, each in enumerate(value if isinstance(value, tuple) else (value,)):
            if isinstance(each, Section):
                yield from _named(each, (*loc, index) if isinstance(value, tuple) else loc)
