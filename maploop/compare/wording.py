"""Numbers in words: signs, thousands, and no zero that has a sign."""


def fixed(value: float, digits: int, *, signed: bool = False) -> str:
    """A number with so many decimals and commas at thousands; whatever rounds to zero is 0, without a sign."""
    rounded = round(value, digits)
    if rounded == 0:
        return f"{0:.{digits}f}"
    return f"{rounded:{'+' if signed else ''},.{digits}f}"


def usd(value: float) -> str:
    """A sum of money in whole USD, in cents where it is below one: `1,240 USD`."""
    return f"{fixed(value, 0 if round(abs(value), 2) >= 1 else 2)} USD"


def counted(count: int, noun: str) -> str:
    """`1 tile`, `1,200 tiles`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
