"""Kinds of fields that several requests have."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, ValidationError, ValidatorFunctionWrapHandler, WrapValidator

from otagate.model.versions import MAX_FILE_VERSION, parse_version


def whole(value: object) -> object:
    """JSON knows one kind of number: 60.0 is the integer 60 (JSON Schema 2020-12, 6.1.1)."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _readable(text: str) -> str:
    parse_version(text)
    return text


HexVersion = Annotated[str, StringConstraints(pattern=r"^0[xX][0-9a-fA-F]{1,8}$"), AfterValidator(_readable)]
DottedVersion = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,10}(\.[0-9]{1,10}){1,3}([-+][0-9A-Za-z.+-]{1,40})?$"), AfterValidator(_readable)]
FileVersion = Annotated[int, Field(ge=0, le=MAX_FILE_VERSION), BeforeValidator(whole)]


def told_as(sentence: str) -> WrapValidator:
    """What a text should be, for people, where its pattern refuses it: the pattern itself is for programs, and stands in the document."""

    def read(value: object, go_on: ValidatorFunctionWrapHandler) -> object:
        try:
            return go_on(value)
        except ValidationError as error:
            if any(each["type"] != "string_pattern_mismatch" for each in error.errors(include_url=False, include_context=False, include_input=False)):
                raise
            raise ValueError(sentence) from None

    return WrapValidator(read)


def _one_of_them(value: object, read: ValidatorFunctionWrapHandler) -> object:
    """One sentence for what is none of the three."""
    try:
        return read(value)
    except ValidationError:
        raise ValueError("it should be a version: 0x01020003, the same as a number, or 1.6.1") from None


Version = Annotated[FileVersion | HexVersion | DottedVersion, WrapValidator(_one_of_them)]
"""A 32-bit file version, as a number or as it is shown, or the dotted version of a Z-Wave node or of a cloud's device, whose may have a suffix."""
