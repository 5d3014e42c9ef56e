# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Images made by hand, honest and crafted: an OCI layout written byte by byte."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import subprocess
import tarfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

LAYER = "application/vnd.oci.image.layer.v1.tar"


def digest(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


def tar(*members: tuple[str, Any], **attributes: Any) -> bytes:
    """Members as (name, content): bytes a file, None a directory, "->target" a symlink, "=target" a hard link,
    (major, minor) a character device; a dict of TarInfo attributes may follow."""
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, content, *more in members:
            info = tarfile.TarInfo(name)
            info.mode = 0o644
            data = b""
            if isinstance(content, bytes):
                data, info.size = content, len(content)
            elif content is None:
                info.type, info.mode = tarfile.DIRTYPE, 0o755
            elif isinstance(content, tuple):
                info.type, (info.devmajor, info.devminor) = tarfile.CHRTYPE, content
            elif content.startswith("->"):
                info.type, info.linkname = tarfile.SYMTYPE, content[2:]
            else:
                info.type, info.linkname = tarfile.LNKTYPE, content[1:]
            for key, value in {**attributes, **(more[0] if more else {})}.items():
                setattr(info, key, value)
            archive.addfile(info, io.BytesIO(data))
    return output.getvalue()


@dataclass
class Layout:
    """An OCI layout with one image. What is crafted replaces what would be right."""

    path: Path
    config: dict[str, Any] = field(default_factory=dict)
    layers: list[dict[str, Any]] = field(default_factory=list)
    diff_ids: list[str] = field(default_factory=list)
    architecture: str = "amd64"
    system: str = "linux"

    def blob(self, content: bytes, name: str = "") -> str:
        name = name or digest(content)
        directory = self.path / "blobs/sha256"
        directory.mkdir(parents=True, exist_ok=True)
        (directory / name.partition(":")[2]).write_bytes(content)
        return name

    def add(self, content: bytes, compression: str = "gzip", **crafted: Any) -> Layout:
        """A layer; crafted: digest, size, diff_id, mediaType, blob (the bytes transported)."""
        blob = {"gzip": lambda: gzip.compress(content, 1, mtime=0), "zstd": lambda: zstd(content), "": lambda: content}
        transported = crafted.pop("blob", None)
        if transported is None:
            transported = blob[compression]()
        self.diff_ids.append(crafted.pop("diff_id", digest(content)))
        kind = LAYER + (f"+{compression}" if compression else "")
        entry = {"mediaType": kind, "digest": digest(transported), "size": len(transported), **crafted}
        self.blob(transported, entry["digest"])
        self.layers.append(entry)
        return self

    def write(self, reference: str = "image") -> Path:
        document = {
            "architecture": self.architecture,
            "os": self.system,
            "config": self.config,
            "rootfs": {"type": "layers", "diff_ids": self.diff_ids},
        }
        config = json.dumps(document).encode()
        kind = "application/vnd.oci.image.config.v1+json"
        manifest = {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": {"mediaType": kind, "digest": self.blob(config), "size": len(config)},
            "layers": self.layers,
        }
        self.config_digest = digest(config)
        self.manifest = json.dumps(manifest).encode()
        self.index(
            {
                "mediaType": manifest["mediaType"],
                "digest": self.blob(self.manifest),
                "size": len(self.manifest),
                "annotations": {"org.opencontainers.image.ref.name": reference},
            }
        )
        return self.path

    def index(self, *manifests: dict[str, Any]) -> None:
        (self.path / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
        (self.path / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": list(manifests)}))

    @property
    def digest(self) -> str:
        return digest(self.manifest)


def zstd(content: bytes) -> bytes:
    return subprocess.run(["zstd", "-qc"], input=content, stdout=subprocess.PIPE, check=True).stdout
