"""The API's own description, /openapi.json: what is answered, and nothing that is not."""

from typing import Any

from fastapi import FastAPI

from spokewire.api import problem
from spokewire.api.messages import Problem

PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem} for status in (400, 401, 403, 404, 409, 413, 429, 500, 503, 504)
}


class DescribedApi(FastAPI):
    """FastAPI, whose description would name its own shape of error (422) and a wrong media type for ours."""

    def openapi(self) -> dict[str, Any]:
        """The description, corrected: every error is a problem document."""
        schema = super().openapi()
        for path in schema["paths"].values():
            for operation in path.values():
                operation["responses"].pop("422", None)
                for status, response in operation["responses"].items():
                    if status != "200":
                        content = {"schema": {"$ref": "#/components/schemas/Problem"}}
                        response["content"] = {problem.MEDIA_TYPE: content}
        for name in ("HTTPValidationError", "ValidationError"):
            schema["components"]["schemas"].pop(name, None)
        return schema
