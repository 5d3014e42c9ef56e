# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""libnftables(3), what nft(8) is made of, in this process: a program more would cost ten times as much.

The package of nft brings it, except where nft has it built in: who calls falls back to the program.
"""

from __future__ import annotations

import ctypes
from functools import lru_cache
from typing import Any, NamedTuple

_LIBRARY = "libnftables.so.1"
_JSON, _TERSE = 1 << 4, 1 << 11


class Answer(NamedTuple):
    """What a command left; ``status`` is 0 where all of it was done."""

    status: int
    output: str
    errors: str


def run(command: str, json: bool = False, terse: bool = False) -> Answer:
    """Run commands of nft's language as one transaction. Raises OSError where there is no such library."""
    library = _load()
    context = library.nft_ctx_new(0)
    if not context:
        raise OSError(f"{_LIBRARY} has no context to give")
    try:
        library.nft_ctx_output_set_flags(context, _JSON * json | _TERSE * terse)
        library.nft_ctx_buffer_output(context)
        library.nft_ctx_buffer_error(context)
        status = library.nft_run_cmd_from_buffer(context, command.encode("utf-8", "surrogateescape"))
        output, errors = library.nft_ctx_get_output_buffer(context), library.nft_ctx_get_error_buffer(context)
        return Answer(status, *(said.decode("utf-8", "surrogateescape") for said in (output or b"", errors or b"")))
    finally:
        library.nft_ctx_free(context)


@lru_cache(maxsize=1)
def _load() -> Any:
    library = ctypes.CDLL(_LIBRARY)
    pointer, text = ctypes.c_void_p, ctypes.c_char_p
    for name, result, arguments in (
        ("nft_ctx_new", pointer, (ctypes.c_uint32,)),
        ("nft_ctx_free", None, (pointer,)),
        ("nft_ctx_output_set_flags", None, (pointer, ctypes.c_uint)),
        ("nft_ctx_buffer_output", ctypes.c_int, (pointer,)),
        ("nft_ctx_buffer_error", ctypes.c_int, (pointer,)),
        ("nft_ctx_get_output_buffer", text, (pointer,)),
        ("nft_ctx_get_error_buffer", text, (pointer,)),
        ("nft_run_cmd_from_buffer", ctypes.c_int, (pointer, text)),
    ):
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library
