# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the workers of one run of Ansible share: each host's task is a process of its own."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from typing import Any

from ..module_utils._image.sources.handed import file_name


class RunCache:
    """Answers, and blobs by digest, in a directory that lives as long as the run."""

    def __init__(self, root: str) -> None:
        self.root = root
        os.makedirs(root, mode=0o700, exist_ok=True)

    @contextlib.contextmanager
    def locked(self, name: str) -> Iterator[None]:
        """One worker at a time for that name."""
        with open(self._path(name, "lock"), "wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def once(self, name: str, make: Callable[[], Any]) -> Any:
        """The answer (plain data) of the first worker that asks; the others wait for it. An error is no answer."""
        path = self._path(name, "json")
        with self.locked(name):
            if os.path.exists(path):
                with open(path, encoding="utf-8") as stream:
                    return json.load(stream)
            answer = make()
            with open(path + ".new", "w", encoding="utf-8") as stream:
                json.dump(answer, stream)
            os.rename(path + ".new", path)
            return answer

    def blob(self, digest: str) -> str:
        """Where that blob is or would be."""
        return f"{self.root}/{file_name(digest)}"

    def has(self, digest: str) -> bool:
        return os.path.exists(self.blob(digest))

    def _path(self, name: str, kind: str) -> str:
        return f"{self.root}/{hashlib.sha256(name.encode()).hexdigest()}.{kind}"
