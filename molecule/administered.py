# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tests that a container is a unit like any other: administrator.py does to it what administrators do."""


def test_the_containers_init_is_the_units_main_process(did):
    state = did["began"]["state"]
    assert (state["inside"], state["command"]) == ("1", "httpd")
    assert state["parent"] == "1"
    assert state["processes"] == [state["MainPID"]]


def test_no_process_of_ours_stays(did):
    assert did["began"]["state"]["others"] == []


def test_stop_ends_it_and_is_no_failure(did):
    assert did["stopped"]["systemctl"] == {"rc": 0, "said": ""}
    assert (did["stopped"]["state"]["ActiveState"], did["stopped"]["state"]["Result"]) == ("inactive", "success")
    assert did["stopped"]["page"] is None
    assert did["stopped"]["status"]["rc"] == 3  # systemctl(1): a program that is not running


def test_start_and_restart_bring_it_back(did, name, page_of):
    for when in ("started", "restarted"):
        assert did[when]["systemctl"] == {"rc": 0, "said": ""}
        assert did[when]["state"]["ActiveState"] == "active"
        assert did[when]["page"] == page_of(name)
        assert did[when]["status"]["rc"] == 0
    pids = {did[when]["state"]["MainPID"] for when in ("began", "started", "restarted")}
    assert len(pids) == 3


def test_status_tells_what_it_is(did):
    said = did["restarted"]["status"]["said"]
    assert "Container web" in said
    assert "active (running)" in said
    assert f"Main PID: {did['restarted']['state']['MainPID']} (httpd)" in said
