"""Errors, as the API writes them."""

from typing import Any

from tests.emulators.service import Reply


def refuse(status: int, code: str = "", message: str = "", **more: Any) -> Reply:
    """An error as the API writes it: with a code of its own, or only with words."""
    if not code:
        return Reply(status, {"detail": message})
    body = {"error_code": f"ERR-{code}", "message": message, "details": [], "suggestions": [], "links": []}
    return Reply(status, body | more | {"request_id": "req-1"})
