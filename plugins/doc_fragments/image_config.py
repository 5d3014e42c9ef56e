# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documents module_utils/_module/arguments/image_config.py."""

from __future__ import annotations


class ModuleDocFragment:
    """An image's configuration."""

    DOCUMENTATION = r"""
options:
  config:
    description:
      - Changes to the configuration that the source brings; what is not named stays as it is there.
      - The layers stay, the digest changes, and containers made from the image are made anew.
    type: dict
    suboptions:
      cmd:
        description: The command, or the arguments of the entry point. Unset, the source's.
        type: list
        elements: str
      entrypoint:
        description: The entry point. Given without O(config.cmd), the source's command goes. Unset, the source's.
        type: list
        elements: str
      env:
        description:
          - Environment variables, added to the source's or in place of those of the same name.
          - Values are text. What YAML takes for a number or a boolean needs quotes.
          - They are part of the image, for everyone who has it to read, and results show them. A secret belongs in
            O(barekernel.containers.ns_container#module:env) of the container.
        type: dict
      workdir:
        description: The working directory, an absolute path. Unset, the source's.
        type: str
      user:
        description: The user, as C(USER[:GROUP]) by names of the image or by numbers. Unset, the source's.
        type: str
      exposed_ports:
        description: Ports that it listens on, e.g. V(80/tcp), added to the source's.
        type: list
        elements: str
      volumes:
        description: Directories that are to be volumes, absolute paths, added to the source's.
        type: list
        elements: str
      labels:
        description: Labels, added to the source's or in place of those of the same name. Values are text.
        type: dict
      stop_signal:
        description: The signal that asks it to end, e.g. V(SIGTERM). Unset, the source's.
        type: str
      healthcheck:
        description: How to tell that it is well, in place of the source's. Unset, the source's.
        type: dict
        suboptions:
          test:
            description:
              - The command, after the word V(CMD), or one line for the image's C(/bin/sh), after the word V(CMD-SHELL).
              - The word V(NONE) alone takes the source's check away.
            type: list
            elements: str
            required: true
          interval:
            description: Time between two checks, such as V(30s) or V(1m30s). Unset, the engine's.
            type: str
          timeout:
            description: Time after which a check has failed. Unset, the engine's, V(30s).
            type: str
          start_period:
            description: Time after the start in which a failed check does not count. Unset, the engine's.
            type: str
          start_interval:
            description: Time between two checks in that period. Unset, the engine's.
            type: str
          retries:
            description: How many failed checks in a row make it unhealthy. Unset, the engine's.
            type: int
"""
