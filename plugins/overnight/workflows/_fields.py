"""How people write things into a queue's cells: lists, addresses, money. Shared by the workflows' item models."""

import re
from datetime import date, datetime
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, HttpUrl, TypeAdapter

_URL = TypeAdapter(HttpUrl)
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(?:,\d{3})+(?:\.\d+)?")
_EITHER = re.compile(r"[1-9]\d{0,2}\.\d{3}")
_COMMA = re.compile(r"[+-]?(?:\d{1,3}(?:\.\d{3})+|\d+),(?:\d{1,2}|\d{4,})|[+-]?0,\d+|[+-]?\d{1,3}(?:\.\d{3})+,\d{3}")


class QueueRow(BaseModel):
    """A row as people queue it: white space at the ends does not matter."""

    model_config = ConfigDict(str_strip_whitespace=True, populate_by_name=True)


def listed(value: Any) -> Any:
    """A cell that holds several things separates them with | or line breaks."""
    if not isinstance(value, str):
        return value
    return [part.strip() for part in value.replace("\n", "|").split("|") if part.strip()]


def _urls(value: Any) -> Any:
    made = listed(value)
    for url in made if isinstance(made, list) else []:
        if not str(url).startswith("/"):  # a path on the brand's own site is fine
            _URL.validate_python(url)
    return made


def _url(value: Any) -> Any:
    if isinstance(value, str) and value.strip():
        _URL.validate_python(value.strip())
    return value


def _number(value: Any) -> Any:
    """`12.0`, `$1,200.50`, `12,50 €` and `1.299,00` are numbers to people. What could be two of them is left to be refused."""
    if not isinstance(value, str):
        return value
    plain = value.strip().strip("$€£").strip()
    if _THOUSANDS.fullmatch(plain):
        return plain.replace(",", "")
    if _COMMA.fullmatch(plain):
        return plain.replace(".", "").replace(",", ".")
    return plain or None


def _money(value: Any) -> Any:
    """A sum: `1.234` is one of a German sheet's thousands, or three decimals that no price has, and nobody can tell which."""
    if isinstance(value, str) and _EITHER.fullmatch(value.strip().strip("$€£").strip()):
        plain = value.strip().strip("$€£").strip()
        raise ValueError(f"{plain} could be {plain.replace('.', '')} or {plain[:-1]}: write the one you mean")
    return _number(value)


def _whole(value: Any) -> Any:
    if isinstance(value, str) and _EITHER.fullmatch(value.strip()):
        raise ValueError(f"{value.strip()} could be {value.strip().replace('.', '')} or not whole: write the one you mean")
    plain = _number(value)
    return re.sub(r"\.0+$", "", plain) if isinstance(plain, str) else plain


def _day(value: Any) -> Any:
    """A date, also where somebody pasted a time behind it."""
    return value.strip()[:10] if isinstance(value, str) else value


Text = Annotated[str, Field(max_length=500)]
Texts = Annotated[list[Text], BeforeValidator(listed)]
LongTexts = Annotated[list[Annotated[str, Field(max_length=2000)]], BeforeValidator(listed)]
Urls = Annotated[list[Annotated[str, Field(max_length=2000)]], BeforeValidator(_urls)]
Url = Annotated[str, Field(max_length=2000), BeforeValidator(_url)]
Number = Annotated[float, BeforeValidator(_number)]
Money = Annotated[float, BeforeValidator(_money)]
Whole = Annotated[int, BeforeValidator(_whole)]
Day = Annotated[date, BeforeValidator(_day)]
Moment = datetime
