"""Reader: takes known entries out of a mapping that a user wrote, with an error that names place, remedy, near name."""

import difflib
import math
from collections.abc import Mapping, Sequence
from typing import Any

from sim_core.errors import ModelError

_MISSING = object()


class Reader:
    """One mapping of an instrument. Every method raises ModelError naming `place` and the entry."""

    def __init__(self, value: Any, place: str) -> None:
        if not isinstance(value, Mapping):
            raise ModelError(f"{place}: write a mapping of names to values, not {value!r}")
        self.place = place
        self._value = value
        self._known: list[str] = []

    def has(self, name: str) -> bool:
        """Return whether an entry is there."""
        return self._value.get(name) is not None

    def take(self, name: str, default: Any = _MISSING) -> Any:
        """Return an entry; an absent one, or null, is its default."""
        self._known.append(name)
        value = self._value.get(name)
        if value is not None:
            return value
        if default is _MISSING:
            raise ModelError(f"{self.place}: {name} is missing{self._instead(name)}")
        return default

    def number(self, name: str, *, default: float | None = None, least: float = 0.0, most: float = math.inf) -> float:
        """Return a finite number in [least, most]."""
        value = self.take(name) if default is None else self.take(name, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise ModelError(f"{self.place}.{name}: {value!r} is no number")
        if not least <= value <= most:
            bounds = f"at least {least:g}" if most == math.inf else f"in [{least:g}, {most:g}]"
            raise ModelError(f"{self.place}.{name}: {value:g} must be {bounds}")
        return float(value)

    def text(self, name: str, default: Any = _MISSING) -> str:
        """Return a text."""
        value = self.take(name, default)
        if not isinstance(value, str):
            raise ModelError(f"{self.place}.{name}: write a text, not {value!r}")
        return value

    def choice(self, name: str, known: Sequence[str], default: Any = _MISSING) -> str:
        """Return one of the known words."""
        return one_of(self.text(name, default), known, f"{self.place}.{name}")

    def names(self, name: str) -> tuple[str, ...]:
        """Return a name or a list of names; () where nothing or "all" is said."""
        value = self.take(name, ())
        found = (value,) if isinstance(value, str) else value
        if not isinstance(found, list | tuple) or not all(isinstance(one, str) and one for one in found):
            raise ModelError(f"{self.place}.{name}: write a name or a list of names, not {value!r}")
        return () if "all" in found else tuple(found)

    def inner(self, name: str) -> "Reader":
        """Return a reader of a mapping within."""
        return Reader(self.take(name), f"{self.place}.{name}")

    def close(self) -> None:
        """Refuse what nobody asked for."""
        unknown = [name for name in self._value if name not in self._known]
        if unknown:
            near = _near(str(unknown[0]), self._known)
            raise ModelError(f"{self.place}: unknown entry {unknown[0]!r}{near}; known are {sorted(set(self._known))}")

    def _instead(self, name: str) -> str:
        near = difflib.get_close_matches(name, [str(key) for key in self._value if key not in self._known], n=1)
        return f" (there is {near[0]!r}: did you mean {name!r}?)" if near else ""


def one_of(word: str, known: Sequence[str], place: str) -> str:
    """Return the word. Raises ModelError with a near name when it is none of the known ones."""
    if word in known:
        return word
    raise ModelError(f"{place}: unknown {word!r}{_near(word, known)}; known are {list(known)}")


def _near(word: str, known: Sequence[str]) -> str:
    found = difflib.get_close_matches(word, list(known), n=1)
    return f", did you mean {found[0]!r}?" if found else ""
