# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Text of images, containers, builds and registries on a terminal, which takes some characters as commands.

console_codes(4): an escape sequence moves the cursor, rewrites what was printed or sets the clipboard. It begins with a
control character, of ASCII or of ISO 6429's second set (U+0080 to U+009F). Unicode's marks of direction reorder a line.
"""

from __future__ import annotations

#: Spaces of other writing than English, of which str.isprintable() thinks otherwise.
_SPACES = "\u00a0\u202f\u3000"


def shown(text: str) -> str:
    r"""The text with everything but printable characters, tabs and line feeds written as escapes in ASCII (\x1b).

    Bytes that were no UTF-8 (os.fsdecode) become \xNN too. Nothing is escaped a second time.
    """
    if text.isprintable():
        return text
    return "".join(each if each in "\n\t" else _shown(each) for each in text)


def shown_line(text: str) -> str:
    r"""The same for what is one line of a listing or of a progress display: \n and \t are escaped too."""
    return text if text.isprintable() else "".join(map(_shown, text))


def _shown(character: str) -> str:
    if character.isprintable() or character in _SPACES:
        return character
    if "\udc80" <= character <= "\udcff":  # a byte, see os.fsdecode
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape").decode("ascii")
