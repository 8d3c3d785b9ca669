"""Numbers as services hand them over, as the texts of a queue."""


def written(value: float) -> str:
    """A number with all of its digits: whole ones without a point. `:g` would keep six, and make two ids of a million one."""
    return str(int(value)) if float(value).is_integer() else repr(float(value))
