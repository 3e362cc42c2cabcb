"""A vendor's OpenAPI description as a judge of requests and answers."""

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from openapi_core import Config, OpenAPI
from openapi_core.contrib.starlette import StarletteOpenAPIRequest, StarletteOpenAPIResponse
from openapi_core.exceptions import OpenAPIError
from starlette.requests import Request
from starlette.responses import Response

OPENAPI_FOLDER = Path(__file__).parent / "openapi"


class Contract:
    """A description, checked against by openapi-core; fields that it does not know are faults too, which its open schemas would let pass."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._document = document | {"servers": [{"url": "/"}]}
        self._openapi = OpenAPI.from_dict(self._document, config=Config(spec_validator_cls=None))
        self._paths = [(re.compile(re.sub(r"\{[^}]+\}", "[^/]+", path)), path) for path in document["paths"]]

    def operation(self, method: str, path: str) -> dict[str, Any] | None:
        """What the description says of a method on a path; None if it does not know it. Words win over placeholders."""
        found = [written for pattern, written in self._paths if pattern.fullmatch(path)]
        found = [written for written in found if method.lower() in self._document["paths"][written]]
        if not found:
            return None
        operation: dict[str, Any] = self._document["paths"][min(found, key=lambda w: w.count("{"))][method.lower()]
        return operation

    def request_faults(self, request: Request, body: bytes) -> list[str]:
        """What is wrong with a request; empty if nothing is."""
        try:
            self._openapi.validate_request(StarletteOpenAPIRequest(request, body))
        except OpenAPIError as error:
            return [_words(error)]
        operation = self.operation(request.method, request.url.path) or {}
        known = {self._resolve(item)["name"] for item in operation.get("parameters", [])}
        faults = [f"unknown query parameter {name!r}" for name in request.query_params if name not in known]
        content = self._resolve(operation.get("requestBody", {})).get("content", {})
        schema = content.get("application/json", {}).get("schema")
        if body and schema is None:
            faults.append("a body where none is described")
        if body and schema is not None:
            faults += [f"unknown field {place}" for place in self._unknown(schema, json.loads(body), "")]
        return faults

    def answer_faults(self, request: Request, body: bytes, answer: Response) -> list[str]:
        """What is wrong with an answer of the emulator's own; empty if nothing is."""
        try:
            self._openapi.validate_response(StarletteOpenAPIRequest(request, body), StarletteOpenAPIResponse(answer))
        except OpenAPIError as error:
            return [_words(error)]
        operation = self.operation(request.method, request.url.path) or {}
        described = operation.get("responses", {}).get(str(answer.status_code), {})
        schema = self._resolve(described).get("content", {}).get("application/json", {}).get("schema")
        if schema is None or not answer.body:
            return []
        return [f"unknown field {place}" for place in self._unknown(schema, json.loads(bytes(answer.body)), "")]

    def _resolve(self, item: Mapping[str, Any]) -> Mapping[str, Any]:
        while "$ref" in item:
            found: Any = self._document
            for word in item["$ref"].removeprefix("#/").split("/"):
                found = found[word.replace("~1", "/").replace("~0", "~")]
            item = found
        return item

    def _alternatives(self, schema: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
        """A schema and all that are composed into it."""
        schema = self._resolve(schema)
        yield schema
        for word in ("allOf", "oneOf", "anyOf"):
            for part in schema.get(word, []):
                yield from self._alternatives(part)

    def _unknown(self, schema: Mapping[str, Any], value: Any, place: str) -> Iterator[str]:
        parts = list(self._alternatives(schema))
        if isinstance(value, dict):
            if any(isinstance(part.get("additionalProperties"), dict) for part in parts):
                return
            if not any("properties" in part for part in parts):
                return
            for key, item in value.items():
                schemas = [part["properties"][key] for part in parts if key in part.get("properties", {})]
                if not schemas:
                    yield f"{place}.{key}".lstrip(".")
                else:
                    yield from self._unknown({"anyOf": schemas}, item, f"{place}.{key}")
        elif isinstance(value, list):
            schemas = [part["items"] for part in parts if "items" in part]
            for position, item in enumerate(value if schemas else []):
                yield from self._unknown({"anyOf": schemas}, item, f"{place}[{position}]")


@cache
def load_contract(name: str) -> Contract:
    """Load a description from the folder of vendored ones."""
    text = (OPENAPI_FOLDER / name).read_text()
    return Contract(json.loads(text) if name.endswith(".json") else yaml.load(text, Loader=yaml.CSafeLoader))


def _words(error: BaseException) -> str:
    """An error with what caused it: openapi-core says the useful part in the cause."""
    words: list[str] = []
    current: BaseException | None = error
    while current is not None and len(words) < 4:
        details = [str(item.message) for item in getattr(current, "schema_errors", [])]
        words.append("; ".join([str(current) or type(current).__name__, *details]))
        current = current.__cause__
    return ": ".join(words)[:800]
