# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""pyroute2's parts work without the whole of it, and where they would not, the whole is taken."""

import json
import subprocess
import sys

import pytest

from tests import collection

PLACE = str(collection.CHECKOUT / "plugins/module_utils/_kernel")

#: argv: where pyroute2_parts is; a module of pyroute2 that refuses to be imported before the whole is there, or none.
SCRIPT = """
import json, sys
sys.path.append(sys.argv[1])
import pyroute2_parts
if "whole-first" in sys.argv:
    import pyroute2
class Refusing:
    def find_spec(self, name, path=None, target=None):
        if name == sys.argv[2] and not hasattr(sys.modules["pyroute2"], "__file__"):
            raise ImportError(name)
sys.meta_path.insert(0, Refusing())
pyroute2_parts.conntrack().NFCTSocket().close()
with pyroute2_parts.iproute()() as ipr:
    names = [link.get_attr("IFLA_IFNAME") for link in ipr.get_links()]
whole = sys.modules["pyroute2"]
print(json.dumps({"names": names, "whole": hasattr(whole, "NDB"), "rest": "pyroute2.ndb.main" in sys.modules}))
"""


def answer(*arguments):
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, PLACE, *arguments], stdout=subprocess.PIPE, text=True, check=True
    )
    return json.loads(done.stdout)


def test_the_parts_speak_to_the_kernel_without_the_rest():
    said = answer("")
    assert "lo" in said["names"]
    assert not said["whole"] and not said["rest"]


def test_a_package_that_is_there_already_is_taken_as_it_is():
    said = answer("", "whole-first")
    assert "lo" in said["names"] and said["whole"]


@pytest.mark.parametrize("part", ["pyroute2.iproute", "pyroute2.netlink.rtnl"])
def test_parts_that_need_the_whole_get_it(part):
    said = answer(part)
    assert "lo" in said["names"] and said["whole"]


def test_without_pyroute2_it_is_an_import_error():
    script = "import sys; sys.path.append(sys.argv[1]); import pyroute2_parts; pyroute2_parts.iproute()"
    command = [sys.executable, "-S", "-c", script, PLACE]  # -S: without the place of packages
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert "No module named 'pyroute2'" in done.stderr
