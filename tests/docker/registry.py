"""A registry to pull images from by digest, and a shelf of files: what the outside world has for a machine that boots.

Read-only, and as much of the OCI distribution specification (section "Pull") as Docker needs.
"""

import hashlib
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from tests.docker.engine import docker

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
_CONFIG = "application/vnd.docker.container.image.v1+json"
_LAYER = "application/vnd.docker.image.rootfs.diff.tar"


class Shelf:
    """What is served: images by digest and folders of files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._manifests: dict[str, bytes] = {}
        self._files: dict[str, Path] = {}
        self.asked: list[str] = []
        """The path of every request, in order."""

    def add_image(self, tag: str) -> str:
        """Take an image from the daemon; return its digest."""
        place = self._folder / hashlib.sha256(tag.encode()).hexdigest()[:12]
        place.mkdir(parents=True)
        docker("save", "--output", str(place / "image.tar"), tag)
        with tarfile.open(place / "image.tar") as archive:
            archive.extractall(place, filter="data")
        (place / "image.tar").unlink()
        described = json.loads((place / "manifest.json").read_text())[0]
        manifest = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": MANIFEST,
                "config": self._blob(place / described["Config"], _CONFIG),
                "layers": [self._blob(place / layer, _LAYER) for layer in described["Layers"]],
            }
        ).encode()
        digest = f"sha256:{hashlib.sha256(manifest).hexdigest()}"
        self._manifests[digest] = manifest
        return digest

    def build(self, folders: Mapping[str, Path]) -> Starlette:
        """The application; `folders` maps the beginning of a path to the files below it."""
        return Starlette(
            routes=[
                Route("/v2/", self._greet),
                Route("/v2/{name:path}/manifests/{digest}", self._manifest, methods=["GET", "HEAD"]),
                Route("/v2/{name:path}/blobs/{digest}", self._send_blob, methods=["GET", "HEAD"]),
                *(Mount(f"/{name}", StaticFiles(directory=folder, html=True)) for name, folder in folders.items()),
            ]
        )

    def _blob(self, path: Path, kind: str) -> dict[str, str | int]:
        with path.open("rb") as file:
            digest = f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
        self._files[digest] = path
        return {"mediaType": kind, "size": path.stat().st_size, "digest": digest}

    async def _greet(self, request: Request) -> Response:
        return JSONResponse({})

    async def _manifest(self, request: Request) -> Response:
        digest = request.path_params["digest"]
        self.asked.append(request.url.path)
        found = self._manifests.get(digest)
        if found is None:
            return JSONResponse({"errors": [{"code": "MANIFEST_UNKNOWN", "message": "by digest only"}]}, 404)
        return Response(found, media_type=MANIFEST, headers={"Docker-Content-Digest": digest})

    async def _send_blob(self, request: Request) -> Response:
        digest = request.path_params["digest"]
        self.asked.append(request.url.path)
        found = self._files.get(digest)
        if found is None:
            return JSONResponse({"errors": [{"code": "BLOB_UNKNOWN", "message": "unknown"}]}, 404)
        return FileResponse(found, media_type="application/octet-stream", headers={"Docker-Content-Digest": digest})
