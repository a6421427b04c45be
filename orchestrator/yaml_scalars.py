"""What an unquoted scalar means: the YAML 1.2 core schema, less what YAML 1.1 reads otherwise."""

import math
import re
from typing import Any

_MAX_INTEGER = 2**63 - 1
_MAX_INTEGER_LENGTH = 20

_NULL = re.compile(r"|~|null|Null|NULL")
_TRUE = re.compile(r"true|True|TRUE")
_FALSE = re.compile(r"false|False|FALSE")
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_REAL = re.compile(r"[-+]?(\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_AMBIGUOUS = (
    (
        re.compile(r"yes|no|on|off", re.IGNORECASE),
        "YAML 1.1 reads this word as true or false: write true or false, or quote it if text is meant",
    ),
    (
        re.compile(r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?"),
        "YAML 1.1 reads this as a number in base 60: quote it if text is meant, else write a plain number",
    ),
    (
        re.compile(r"[-+]?0([0-9_]+|o[0-7_]+|x[0-9a-f_]+|b[01_]+)", re.IGNORECASE),
        "octal, hexadecimal, binary and leading zeros are refused: write it in decimal, or quote it if text is meant",
    ),
    (
        re.compile(r"[-+]?[0-9][0-9.]*_[0-9_.]*"),
        "a number with '_' is refused: write it without, or quote it if text is meant",
    ),
    (
        re.compile(r"[-+]?\.?(nan|inf|infinity)", re.IGNORECASE),
        "NaN and infinity are refused: write a finite number, or quote it if text is meant",
    ),
)


def resolve(text: str) -> Any:
    """Return the value of an unquoted scalar. Raises ValueError with the remedy when it could be read in two ways."""
    for pattern, remedy in _AMBIGUOUS:
        if pattern.fullmatch(text):
            raise ValueError(remedy)
    for pattern, value in ((_NULL, None), (_TRUE, True), (_FALSE, False)):
        if pattern.fullmatch(text):
            return value
    if _INTEGER.fullmatch(text):
        if len(text) > _MAX_INTEGER_LENGTH or abs(int(text)) > _MAX_INTEGER:
            raise ValueError("a whole number must fit in 64 bits: write a smaller one, or quote it if text is meant")
        return int(text)
    if _REAL.fullmatch(text):
        if not math.isfinite(float(text)):
            raise ValueError("the number is too large for a 64-bit float: write a smaller one")
        return float(text)
    return text
