"""Numbers as the report prints them: typographic minus signs, and a dash where nothing defines a value."""

DASH = "\N{EN DASH}"


def number(value: float | None, form: str) -> str:
    """Return a value in a format of Python's."""
    return DASH if value is None else format(value, form).replace("-", "\N{MINUS SIGN}")


def money(value: float | None, scale: float) -> str:
    """Return an amount, EUR, in the page's unit of `scale` EUR."""
    return number(None if value is None else value / scale, ",.2f")


def limits(lo: float | None, hi: float | None, scale: float) -> str:
    """Return an interval of amounts."""
    return DASH if lo is None or hi is None else f"{money(lo, scale)} to {money(hi, scale)}"
