# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Other engines take what is made here, and what they make is taken: docker, podman, buildah and skopeo."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.kernel import docker as dockers
from tests.kernel import images, registry, test_container
from tests.kernel.images import apply
from tests.kernel.test_image_pull import export
from tests.waiting import until

Podman = Callable[..., str]
NAME = "bktest-peer"
BUILD = {
    "directories": [{"path": path} for path in ("/proc", "/dev", "/sys", "/etc", "/tmp", "/srv/old")],
    "copy": [{"src": "/bin/busybox", "dest": "/bin/busybox"}, {"src": "/bin/busybox", "dest": "/srv/old/file"}],
    "run": ["/bin/busybox --install -s /bin"],
}
#: What a container does that is committed, what its image shows of it, and how that has to look.
CHANGE = (
    "rm /bin/vi; rm -r /srv/old; mkdir /srv/old; echo new > /srv/old/new; chown 5:6 /srv/old/new; mknod /srv/p p; "
    "chmod 4755 /srv/old/new; echo made > /etc/made; ln /etc/made /etc/again; exec sleep 1000"
)
SHOW = "cat /etc/again; ls /srv/old; stat -c %u:%g:%a /srv/old/new; test -p /srv/p && test ! -e /bin/vi && echo $WHO"
SHOWN = "made\nnew\n5:6:4755\nme\n"
#: What another engine is told to build, how it runs here, and what it writes then.
BASE = """
FROM scratch
COPY busybox /bin/busybox
COPY prepare /prepare
RUN ["/bin/busybox", "sh", "-c", "/bin/busybox --install -s /bin && exec sh /prepare"]
STOPSIGNAL SIGUSR1
"""
REMOVE = "rm -r /srv/gone && mkdir /srv/gone && rm /bin/vi"
REST = """
ENV WHO=me
LABEL k=v
EXPOSE 80
VOLUME /data
USER app
WORKDIR /srv
HEALTHCHECK --interval=5s CMD cat /srv/kept
ENTRYPOINT ["sh", "-c"]
CMD ["id -u; pwd; echo $WHO; ls -A . gone; stat -c %u:%g /data/file; test ! -e /bin/vi && echo end; exec sleep 1000"]
"""
PREPARE = b"""
mkdir -p /etc /srv/gone /data
echo lower > /srv/gone/file
echo kept > /srv/kept
echo volume > /data/file
chown 1234:50 /data/file
echo app:x:1234:50::/:/bin/sh > /etc/passwd
"""
WRITTEN = ["1234", "/srv", "me", ".:", "gone", "kept", "", "gone:", "1234:50", "end"]


@pytest.fixture(autouse=True)
def nothing_of_ours() -> Iterator[None]:
    """The container and all images go."""
    yield
    test_container.apply("ns_container", name=NAME, state="absent")
    images.remove_all()


@pytest.fixture
def docker(tmp_path: Path) -> Iterator[dockers.Docker]:
    with dockers.serve(tmp_path / "docker") as running:
        yield running


@pytest.fixture
def podman(tmp_path: Path) -> Iterator[Podman]:
    """podman with a store of its own, and runc, which bears every cgroup hierarchy."""
    (tmp_path / "containers.conf").write_text("[containers]\ndefault_ulimits = []\n")
    options = ["--root", f"{tmp_path}/podman", "--runroot", "/run/bktest-podman", "--storage-driver", "overlay"]
    options += ["--events-backend", "file", "--cgroup-manager", "cgroupfs", "--runtime", "runc"]
    environment = {**os.environ, "CONTAINERS_CONF": f"{tmp_path}/containers.conf"}

    def call(*arguments: str) -> str:
        return output("podman", *options, *arguments, environment=environment)

    yield call
    dockers.ended("/run/bktest-podman")
    call("rmi", "-af")
    subprocess.run(["umount", "-q", f"{tmp_path}/podman/overlay"], check=False)
    for name in ("bktest-podman", "libpod", "runc", "containers"):
        shutil.rmtree(f"/run/{name}", ignore_errors=True)
    dockers.remove_cgroups("libpod_parent")


@pytest.fixture
def buildah(tmp_path: Path) -> Iterator[Podman]:
    """buildah with a store of its own; what it runs is chrooted, which asks nothing of cgroups."""
    store = ["--root", f"{tmp_path}/buildah", "--runroot", "/run/bktest-buildah", "--storage-driver", "vfs"]
    environment = {**os.environ, "BUILDAH_ISOLATION": "chroot", "TMPDIR": str(tmp_path)}

    def call(*arguments: str) -> str:
        return output("buildah", *store, *arguments, environment=environment)

    yield call
    for name in ("bktest-buildah", "containers", "libpod", "runc"):
        shutil.rmtree(f"/run/{name}", ignore_errors=True)


def output(*command: str, environment: dict[str, str] | None = None) -> str:
    # An engine may make a standard input non-blocking that it shares with others, which Ansible refuses.
    done = subprocess.run(
        command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def committed() -> dict[str, Any]:
    """An image made of what a container has changed while it ran; named example/app:1."""
    apply(name="base", build=BUILD)
    test_container.apply("ns_container", name=NAME, image="base", command=["sh", "-c", CHANGE], stop_timeout=0)
    last = Path("/var/lib/barekernel/containers", NAME, "upper/etc/again")
    until("it has made its changes", last.exists, lambda: test_container.info(NAME, 20))
    config = {"cmd": ["sh", "-c", SHOW], "env": {"WHO": "me"}}
    return dict(apply(name="example/app:1", container=NAME, config=config).facts["image"])


def saved(path: Path, form: str = "docker-archive") -> Path:
    export("oci_image_save", name="example/app:1", path=str(path), format=form)
    return path


def runs_here(archive: Path, **more: Any) -> dict[str, Any]:
    """What another engine built of BASE and REST is what it says. Returns the image."""
    image: dict[str, Any] = apply(name="foreign", archive={"path": str(archive)}, **more).facts["image"]
    assert image["config"]["StopSignal"] == "SIGUSR1" and set(image["config"]["Volumes"]) == {"/data"}
    made = test_container.apply("ns_container", name=NAME, image="foreign", stop_timeout=0).facts["container"]

    def lines() -> list[str]:
        return list(test_container.info(NAME, 20)["logs"])

    until("it has written all", lambda: len(lines()) >= len(WRITTEN), lines)
    assert lines() == WRITTEN
    assert Path(made["volumes"]["/data"], "file").read_text() == "volume\n"
    assert made["healthcheck"]["argv"] == ["/bin/sh", "-c", "cat /srv/kept"]
    launch = json.loads(Path("/var/lib/barekernel/containers", NAME, "launch.json").read_text())
    assert launch["stop"]["signal"] == "SIGUSR1"
    return image


def test_docker_runs_what_is_committed_here(docker: dockers.Docker, tmp_path: Path) -> None:
    """From an archive and from a registry; its configuration's digest is the image's name there."""
    made = committed()
    docker.load(saved(tmp_path / "saved.tar"))
    assert docker.run("example/app:1") == SHOWN
    assert docker.inspect("example/app:1")["Id"] == made["config_digest"]
    with registry.serve(tmp_path / "registry") as server:
        name = f"{server.address}/team/app:1"
        export("oci_image_push", name="example/app:1", destination=name, tls_verify=False, retries=0)
        docker.pull(name)
    assert docker.run(name) == SHOWN


def test_an_image_of_docker_runs_here(docker: dockers.Docker, tmp_path: Path) -> None:
    docker.build("built/base", BASE, busybox=Path("/bin/busybox").read_bytes(), prepare=PREPARE)
    docker.run("built/base", "/bin/sh", "-c", REMOVE, commit="built/by:docker", changes=REST)
    docker.save("built/by:docker", tmp_path / "docker.tar")
    image = runs_here(tmp_path / "docker.tar")
    assert image["config_digest"] == docker.inspect("built/by:docker")["Id"]


@pytest.mark.parametrize("form", ["docker-archive", "oci-archive"])
def test_podman_runs_what_is_committed_here(podman: Podman, tmp_path: Path, form: str) -> None:
    committed()
    name = podman("load", "-q", "-i", str(saved(tmp_path / "saved.tar", form))).strip().rpartition(": ")[2]
    assert podman("run", "--rm", "--network=none", name) == SHOWN


def test_an_image_of_buildah_runs_here(buildah: Podman, tmp_path: Path) -> None:
    context = tmp_path / "context"
    context.mkdir()
    shutil.copy("/bin/busybox", context / "busybox")
    (context / "prepare").write_bytes(PREPARE)
    # An OCI configuration has no health check: it is given when the image is taken.
    second = f"FROM localhost/built/base\nRUN {REMOVE}" + REST.replace("HEALTHCHECK", "# HEALTHCHECK")
    for name, dockerfile in (("built/base", BASE), ("built/by:buildah", second)):
        (context / "Dockerfile").write_text(dockerfile)
        buildah("bud", "--network=none", "-q", "-t", name, str(context))
    buildah("push", "-q", "built/by:buildah", f"oci-archive:{tmp_path}/buildah.tar:built/by:buildah")
    check = {"test": ["CMD-SHELL", "cat /srv/kept"]}
    runs_here(tmp_path / "buildah.tar", config={"healthcheck": check})


def test_buildah_and_skopeo_take_what_is_committed_here(buildah: Podman, tmp_path: Path) -> None:
    made = committed()
    archive = saved(tmp_path / "saved.tar", "oci-archive")
    working = buildah("from", "-q", f"oci-archive:{archive}").strip()
    assert buildah("run", "--network=none", working, "--", "sh", "-c", SHOW) == SHOWN
    buildah("rm", working)
    inspected = json.loads(output("skopeo", "inspect", "--config", f"oci-archive:{archive}"))
    assert inspected["rootfs"]["diff_ids"] == [layer["diff_id"] for layer in made["layers"]]
    assert inspected["config"]["Cmd"] == ["sh", "-c", SHOW]
    output("skopeo", "copy", "-q", "--format=v2s2", f"oci-archive:{archive}", f"dir:{tmp_path}/copied")


@pytest.mark.parametrize("form", ["docker-archive", "oci-archive"])
def test_podman_runs_what_is_made_here_and_back(podman: Podman, tmp_path: Path, form: str) -> None:
    apply(name="base", build=BUILD)
    # A file with a hole, as useradd leaves one: GNU's sparse form podman could load, and not write again.
    hole = "dd if=/bin/busybox of=/lastlog bs=1 count=292 seek=29200000"
    steps = {"base": "base", "run": ["rm /bin/vi", "sh -c 'echo made here > /etc/made'", hole]}
    config = {"cmd": ["sh", "-c", "cat /etc/made; test ! -e /bin/vi; echo $WHO"], "env": {"WHO": "podman"}}
    made = apply(name="example/app:1", build=steps, config=config).facts["image"]
    export("oci_image_save", name="example/app:1", path=str(tmp_path / "saved.tar"), format=form)
    name = podman("load", "-q", "-i", str(tmp_path / "saved.tar")).strip().rpartition(": ")[2]
    assert podman("run", "--rm", "--network=none", name) == "made here\npodman\n"
    podman("save", "-q", "--format", form, "-o", str(tmp_path / "back.tar"), name)
    back = apply(name="back", archive={"path": str(tmp_path / "back.tar")}).facts["image"]
    assert [layer["path"] for layer in back["layers"]] == [layer["path"] for layer in made["layers"]]
    assert back["config"]["Cmd"] == config["cmd"] and "WHO=podman" in back["config"]["Env"]
