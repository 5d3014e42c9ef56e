# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A host of its own that is no machine: the namespaces of a process (``apart_pid``); see ../hosts.py."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess

from ansible.plugins.connection import ConnectionBase

DOCUMENTATION = """
name: apart
short_description: Hosts of the tests
description:
  - Runs commands in the mount and network namespace of a process.
options:
  pid:
    description: The process.
    vars:
      - name: apart_pid
"""


class Connection(ConnectionBase):
    """One command, one nsenter."""

    transport = "apart"
    has_pipelining = True

    def _connect(self):
        return self

    def exec_command(self, cmd, in_data=None, sudoable=True):
        enter = ["nsenter", "--mount", "--net", "--wd=/", "-t", self.get_option("pid"), "--", "sh", "-c", cmd]
        # The controller's own PATH is none of a host's business.
        environment = {**os.environ, "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(enter, input=in_data, capture_output=True, check=False, env=environment)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        if "APART_CPU" in os.environ:  # what the host did, and not the controller
            with open(os.environ["APART_CPU"], "a", encoding="ascii") as log:
                log.write(f"{after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime}\n")
        return done.returncode, done.stdout, done.stderr

    def put_file(self, in_path, out_path):
        with open(os.environ["APART_LOG"], "a", encoding="utf-8") as log:
            log.write(f"{self._play_context.remote_addr} {os.path.basename(out_path)}\n")
        shutil.copyfile(in_path, self._there(out_path))

    def fetch_file(self, in_path, out_path):
        shutil.copyfile(self._there(in_path), out_path)

    def _there(self, path):
        return os.path.join("/proc", self.get_option("pid"), "root", path.lstrip("/"))

    def close(self):
        pass
