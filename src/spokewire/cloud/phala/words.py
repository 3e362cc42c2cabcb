"""The errors of Phala Cloud's API, as they are written: one of three shapes, sometimes wrapped. Pure."""

from collections.abc import Mapping
from typing import Any


def explain(data: Any) -> str:
    """The vendor's words about an error, in any of its three shapes; "" if there are none."""
    body = error_body(data)
    code, detail = _text(body.get("error_code")), body.get("detail")
    words = [_text(body.get("message"))]
    if isinstance(detail, str):
        words.append(detail)
    for item in [*_items(detail), *_items(body.get("details"))]:
        if isinstance(item, Mapping):
            place = ".".join(str(part) for part in item.get("loc", [])) or _text(item.get("field"))
            words.append(": ".join(filter(None, (place, _text(item.get("msg")) or _text(item.get("message"))))))
    told = "; ".join(word for word in words if word)
    return " ".join(filter(None, (code, told)))


def error_body(data: Any) -> Mapping[str, Any]:
    """The object that describes an error; the API sometimes wraps it in `detail`."""
    if not isinstance(data, Mapping):
        return {}
    detail = data.get("detail")
    return detail if isinstance(detail, Mapping) else data


def error_code(data: Any) -> str:
    """The vendor's code, without its beginning, such as `02-002`; "" if there is none. HTTP statuses of most of them are documented nowhere."""
    return _text(error_body(data).get("error_code")).removeprefix("ERR-")


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
