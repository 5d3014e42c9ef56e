# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A Compose file becomes options of the modules, which take them; the files have the shapes that people write."""

from __future__ import annotations

import ast
import base64
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.barekernel.containers.plugins.plugin_utils._compose import Translation, translated
from ansible_collections.barekernel.containers.plugins.plugin_utils._compose import keys as known_keys

from tests import collection, fuzz

BLOG = """
    services:
      db:
        image: mariadb:10.11
        command: --transaction-isolation=READ-COMMITTED --log-bin
        restart: always
        volumes:
          - db_data:/var/lib/mysql
        environment:
          - MYSQL_ROOT_PASSWORD=root of it
          - MYSQL_DATABASE=wordpress
        expose:
          - 3306
          - 33060
        healthcheck:
          test: ["CMD", "healthcheck.sh", "--connect"]
          interval: 1m30s
          timeout: 500ms
          retries: 3
          start_period: 0s
      wordpress:
        image: wordpress:latest
        depends_on:
          db:
            condition: service_healthy
        ports:
          - 8080:80
        restart: unless-stopped
        environment:
          WORDPRESS_DB_HOST: db
          WORDPRESS_DEBUG: false
          WORDPRESS_DB_PORT: 3306
    volumes:
      db_data:
"""
PROXIED = """
    name: flask
    services:
      web:
        image: nginx
        volumes:
          - type: bind
            source: ./proxy/nginx.conf
            target: /etc/nginx/conf.d/default.conf
            read_only: true
        ports: ["80:80", "127.0.0.1:8443:443/tcp", "[fd00::1]:9000-9001:90-91/udp"]
        networks: [front, back]
        depends_on: [backend]
      backend:
        image: registry.example/flask:1
        networks:
          back:
            aliases: [api, python]
            ipv4_address: 172.16.238.10
            priority: 10
        user: "1000:1000"
        working_dir: /code
        init: true
        stop_signal: SIGINT
        stop_grace_period: 1m0.5s
        cap_add: [NET_ADMIN]
        cap_drop: [ALL]
        read_only: true
        tmpfs:
          - /run
          - /tmp:mode=1777,size=64m
        shm_size: 128mb
        domainname: example.com
        group_add: [100, mail]
        oom_score_adj: -500
        sysctls:
          net.core.somaxconn: 1024
        ulimits:
          nproc: 65535
          nofile: {soft: 20000, hard: 40000}
        extra_hosts:
          - "somehost:162.242.195.82"
          - "six=[::1]"
          - "host.docker.internal:host-gateway"
        dns: 8.8.8.8
        dns_search: [example.com]
        dns_opt: [use-vc, "ndots:2"]
        labels:
          com.example.number: 42
        hostname: api
        security_opt: ["no-new-privileges:true", "seccomp=unconfined"]
    networks:
      front: {}
      back:
        driver: bridge
        driver_opts:
          com.docker.network.driver.mtu: 1400
        ipam:
          config:
            - subnet: 172.16.238.0/24
              gateway: 172.16.238.254
            - subnet: 2001:db8:1::/64
"""
GITEA = """
    services:
      gitea:
        image: gitea/gitea:latest
        container_name: gitea
        environment:
          - DB_TYPE=postgres
          - DB_PASSWD
          - UNKNOWN
        env_file:
          - gitea.env
          - path: ./missing.env
            required: false
        restart: on-failure:5
        volumes:
          - git_data:/data:ro
          - /etc/timezone:/etc/timezone:ro,rslave
          - /cache
        ports:
          - target: 3000
            published: "3000"
            host_ip: 127.0.0.1
            mode: host
      db:
        image: postgres:alpine
        secrets:
          - db_password
          - source: db_key
            target: /etc/keys/db
            mode: 0400
            uid: "70"
        configs:
          - source: init
            target: /docker-entrypoint-initdb.d/init.sql
        volumes:
          - db_data:/var/lib/postgresql/data
          - type: tmpfs
            target: /scratch
            tmpfs: {size: 1g, mode: 0o1777}
        deploy:
          resources:
            limits: {cpus: '0.50', memory: 50M, pids: 100}
            reservations: {memory: 20M}
          restart_policy: {condition: on-failure, max_attempts: 3}
    secrets:
      db_password:
        file: db_password.txt
      db_key:
        environment: DB_KEY
    configs:
      init:
        content: "CREATE ${OBJECT:-TABLE} t;"
    volumes:
      git_data:
        name: shared-git
        external: true
      db_data:
        driver: local
        driver_opts: {type: none, o: bind, device: /srv/pg}
"""
MONITORING = """
    x-logging: &logging
      driver: json-file
      options: {max-size: "10m", max-file: "5"}
    x-base: &base
      restart: always
      logging: *logging
      mem_limit: 256m
      memswap_limit: 512m
      pids_limit: -1
      cpu_shares: 512
    services:
      prometheus:
        <<: *base
        image: prom/prometheus
        command:
          - '--config.file=/etc/prometheus/prometheus.yml'
        volumes:
          - prom_data:/prometheus
      grafana:
        <<: [*base]
        image: grafana/grafana
        mem_limit: 0
        memswap_limit: -1
        environment: {GF_SECURITY_ADMIN_USER: admin}
        depends_on: {prometheus: {condition: service_started, required: false}}
      exporter:
        image: prom/node-exporter
        profiles: [host]
        network_mode: host
        pid: host
        ipc: shareable
        entrypoint: /bin/node_exporter --path.rootfs=/host
        scale: 1
    volumes:
      prom_data: {}
"""
CLOUD = """
    services:
      redis:
        image: redis:alpine
        networks: [internal]
      worker:
        extends: {service: app}
        command: ["sh", "-c", "exec cron -f $$HOME"]
        environment:
          ROLE: cron
        volumes:
          - cache:/var/www/html
        deploy: {replicas: 2}
        ports: []
      app:
        image: nextcloud:apache
        platform: linux/amd64
        pull_policy: always
        volumes:
          - nextcloud:/var/www/html
          - data:/data
        environment:
          - REDIS_HOST=redis
          - ROLE=web
        depends_on: [redis]
        networks: [internal, outside]
      sidecar:
        image: busybox
        network_mode: service:app
        entrypoint: ""
        command: sleep infinity
    volumes: {nextcloud: , cache: , data: }
    networks:
      internal:
        enable_ipv6: true
      outside:
        external: true
        name: lab0
"""
FILES = {
    "gitea.env": "# of gitea\nA='lit $x'\nB=\"${DB_TYPE:-none}\\n\" \nexport C = plain # comment\nDB_TYPE=sqlite\n",
    "db_password.txt": "not for logs\n",
}
ENVIRONMENT = {"DB_PASSWD": "from outside", "DB_KEY": "key"}


def translate(tmp_path: Path, text: str, environment: Mapping[str, str] = ENVIRONMENT, **options: Any) -> Translation:
    """The file in a directory ``site`` with everything beside it, each dictionary held against the module's own."""
    directory = tmp_path / "site"
    directory.mkdir(exist_ok=True)
    (directory / "compose.yaml").write_text(textwrap.dedent(text))
    for name, content in FILES.items():
        (directory / name).write_text(content)
    options.setdefault("host_directory", "/srv/site")
    found = translated(str(directory), environment=environment, **options)
    held(found)
    return found


def held(found: Translation) -> None:
    """The modules themselves take what was made."""
    for image in found.images:
        assert fuzz.meant("oci_image", image), image
    for network in found.networks:
        assert fuzz.meant("bridge_network", network), network
    names = {container["name"] for container in found.containers}
    for container in found.containers:
        waits = container.get("depends_on", {})
        assert waits.keys() <= names
        assert {entry["condition"] for entry in waits.values()} <= {"started", "healthy", "completed"}
        own = {name: value for name, value in container.items() if name != "depends_on"}
        assert fuzz.meant("ns_container", own), own


def of(found: Translation, name: str) -> dict[str, Any]:
    [container] = [each for each in found.containers if each["name"] == name]
    return container


def test_a_blog_with_its_database(tmp_path: Path) -> None:
    found = translate(tmp_path, BLOG)
    assert found.project == "site"
    assert found.warnings == () and found.files == ()
    check = {"test": ["CMD", "healthcheck.sh", "--connect"], "interval": "90s", "timeout": "500ms", "retries": 3}
    assert list(found.images) == [
        {"name": "mariadb:10.11"},
        {"name": "wordpress:latest"},
        {"name": "localhost/site-db", "image": "mariadb:10.11", "config": {"healthcheck": check}},
    ]
    [network] = found.networks
    assert network["name"] == "site_default" and network["addresses"][0].startswith("10.")
    assert of(found, "site-db-1") == {
        "name": "site-db-1",
        "image": "localhost/site-db",
        "args": ["--transaction-isolation=READ-COMMITTED", "--log-bin"],
        "restart_policy": "always",
        "env": {"MYSQL_ROOT_PASSWORD": "root of it", "MYSQL_DATABASE": "wordpress"},
        "networks": [{"name": "site_default", "aliases": ["db"]}],
        "mounts": [{"type": "volume", "source": "site_db_data", "target": "/var/lib/mysql"}],
    }
    web = of(found, "site-wordpress-1")
    assert web["env"] == {"WORDPRESS_DB_HOST": "db", "WORDPRESS_DEBUG": "false", "WORDPRESS_DB_PORT": "3306"}
    assert web["networks"] == [{"name": "site_default", "aliases": ["wordpress"], "ports": ["8080:80/tcp"]}]
    assert web["depends_on"] == {"site-db-1": {"condition": "healthy"}}
    assert "command" not in web and "args" not in web


def test_a_proxy_before_an_application(tmp_path: Path) -> None:
    found = translate(tmp_path, PROXIED)
    back = {"name": "flask_back", "addresses": ["172.16.238.254/24", "2001:db8:1::1/64"], "mtu": 1400}
    assert [network["name"] for network in found.networks] == ["flask_front", "flask_back"]
    assert found.networks[1] == back
    web = of(found, "flask-web-1")
    assert [attached["name"] for attached in web["networks"]] == ["flask_front", "flask_back"]
    ports = ["80:80/tcp", "127.0.0.1:8443:443/tcp", "[fd00::1]:9000-9001:90-91/udp"]
    assert web["networks"][0]["ports"] == ports and "ports" not in web["networks"][1]
    conf = {"type": "bind", "source": "/srv/site/proxy/nginx.conf", "target": "/etc/nginx/conf.d/default.conf"}
    assert web["mounts"] == [{**conf, "read_only": True}]
    assert of(found, "flask-backend-1") == {
        "name": "flask-backend-1",
        "image": "registry.example/flask:1",
        "hostname": "api",
        "stop_signal": "SIGINT",
        "user": "1000:1000",
        "cwd": "/code",
        "cap_add": ["NET_ADMIN"],
        "cap_drop": ["ALL"],
        "dns": ["8.8.8.8"],
        "dns_options": ["use-vc", "ndots:2"],
        "dns_search": ["example.com"],
        "read_only": True,
        "init": "reaper",
        "seccomp": "unconfined",
        "sysctls": {"net.core.somaxconn": "1024"},
        "labels": {"com.example.number": "42"},
        "stop_timeout": 61,
        "networks": [
            {"name": "flask_back", "aliases": ["backend", "api", "python"], "addresses": ["172.16.238.10"]},
        ],
        "extra_hosts": {"somehost": "162.242.195.82", "six": "::1", "host.docker.internal": "172.16.238.254"},
        "mounts": [
            {"type": "tmpfs", "target": "/run", "options": ["noexec"]},
            {"type": "tmpfs", "target": "/tmp", "options": ["noexec", "mode=1777", "size=64m"]},
        ],
        "shm_size": "128mb",
        "domainname": "example.com",
        "group_add": ["100", "mail"],
        "oom_score_adj": "-500",
        "rlimits": {"nproc": "65535", "nofile": "20000:40000"},
    }


def test_a_forge_with_files_of_the_controller(tmp_path: Path) -> None:
    found = translate(tmp_path, GITEA)
    gitea = of(found, "gitea")
    assert gitea["env"] == {
        "A": "lit $x",
        "B": "none\n",
        "C": "plain",
        "DB_TYPE": "postgres",
        "DB_PASSWD": "from outside",
    }
    assert gitea["networks"] == [
        {"name": "site_default", "ports": ["127.0.0.1:3000:3000/tcp"]},
    ], "the container's own name is known anyway"
    cache = gitea["mounts"].pop()
    assert cache["type"] == "volume" and cache["target"] == "/cache" and cache["source"].startswith("site_")
    assert gitea["mounts"] == [
        {"type": "volume", "source": "shared-git", "target": "/data", "read_only": True},
        {
            "type": "bind",
            "source": "/etc/timezone",
            "target": "/etc/timezone",
            "read_only": True,
            "propagation": "rslave",
        },
    ]
    secrets = "/var/lib/barekernel/secrets/site"
    db = of(found, "site-db-1")
    assert db["mounts"] == [
        {"type": "bind", "source": "/srv/pg", "target": "/var/lib/postgresql/data"},
        {"type": "tmpfs", "target": "/scratch", "options": [f"size={1 << 30}", "mode=1777"]},
        {
            "type": "bind",
            "source": f"{secrets}/secret.db_password",
            "read_only": True,
            "target": "/run/secrets/db_password",
        },
        {
            "type": "bind",
            "source": f"{secrets}/secret.db_key.70.0.400",
            "read_only": True,
            "target": "/etc/keys/db",
            "options": ["idmap"],
        },
        {
            "type": "bind",
            "source": f"{secrets}/config.init",
            "read_only": True,
            "target": "/docker-entrypoint-initdb.d/init.sql",
        },
    ]
    written = {file["path"].rpartition("/")[2]: file for file in found.files}
    contents = {name: base64.b64decode(file["content"]).decode() for name, file in written.items()}
    key = "secret.db_key.70.0.400"
    assert contents == {"secret.db_password": "not for logs\n", key: "key", "config.init": "CREATE TABLE t;"}
    assert (written[key]["mode"], written[key]["uid"], written["config.init"]["mode"]) == ("0400", 70, "0444")
    limits = {"cpu": "0.5", "memory": str(50 << 20), "memory_low": str(20 << 20), "pids": "100"}
    assert db["limits"] == limits and db["restart_policy"] == "on-failure:3"


def test_what_watches_a_host(tmp_path: Path) -> None:
    found = translate(tmp_path, MONITORING)
    assert [container["name"] for container in found.containers] == ["site-prometheus-1", "site-grafana-1"]
    prometheus, grafana = found.containers
    both, weight = 256 << 20, 20
    limits = {"memory": str(both), "cpu_weight": weight, "pids": "max", "swap": str(both)}
    assert prometheus["limits"] == limits
    assert grafana["limits"] == {**limits, "memory": "max", "swap": "max"}
    assert prometheus["log_max_size"] == 10 << 20 and prometheus["log_max_files"] == 5
    assert grafana["depends_on"] == {"site-prometheus-1": {"condition": "started"}}
    chosen = translate(tmp_path, MONITORING, profiles=["other", "host"])
    exporter = of(chosen, "site-exporter-1")
    assert exporter["namespaces"] == {"network": "host", "pid": "host", "user": "host"}
    assert exporter["command"] == ["/bin/node_exporter", "--path.rootfs=/host"] and "networks" not in exporter
    assert any("services.exporter.pid: takes the container's own user namespace" in w for w in chosen.warnings)
    assert len(translate(tmp_path, MONITORING, profiles=["*"]).containers) == 3


def test_a_cloud_with_workers(tmp_path: Path) -> None:
    found = translate(tmp_path, CLOUD)
    names = ["site-redis-1", "site-worker-1", "site-worker-2", "site-app-1", "site-sidecar-1"]
    assert [container["name"] for container in found.containers] == names
    worker = of(found, "site-worker-2")
    assert worker["args"] == ["sh", "-c", "exec cron -f $HOME"]
    assert worker["env"] == {"REDIS_HOST": "redis", "ROLE": "cron"}
    volumes = {mount["target"]: mount["source"] for mount in worker["mounts"]}
    assert volumes == {"/var/www/html": "site_cache", "/data": "site_data"}
    assert worker["networks"] == [
        {"name": "site_internal", "aliases": ["worker"]},
        {"name": "lab0", "aliases": ["worker"]},
    ]
    assert worker["depends_on"] == {"site-redis-1": {"condition": "started"}}
    assert [network["name"] for network in found.networks] == ["site_internal"], "nobody is on the default network"
    six = found.networks[0]["addresses"][1]
    assert six.startswith("fd") and six.endswith("::1/64")
    app = {"name": "nextcloud:apache", "pull": "always", "registry": {"platform": "linux/amd64"}}
    assert app in found.images
    sidecar = of(found, "site-sidecar-1")
    assert sidecar["namespaces"] == {"network": "container:site-app-1"} and sidecar["command"] == ["sleep", "infinity"]
    assert sidecar["depends_on"] == {"site-app-1": {"condition": "started"}}


def test_a_dictionary_means_what_the_same_file_means(tmp_path: Path) -> None:
    import yaml

    for text in (BLOG, PROXIED, MONITORING, CLOUD):
        from_file = translate(tmp_path, text)
        given = yaml.safe_load(textwrap.dedent(text))
        base = str(tmp_path / "site")
        assert translated(given, base=base, environment={}, host_directory="/srv/site") == from_file
    bare_no = {"name": "p", "services": {"a": {"image": "x", "restart": False, "environment": {"N": 1.5, "E": None}}}}
    [container] = translated(bare_no, environment={"E": "e"}).containers
    assert container["restart_policy"] == "no" and container["env"] == {"N": "1.5", "E": "e"}


def test_subnets_stay_and_do_not_meet(tmp_path: Path) -> None:
    many = "networks: {" + ", ".join(f"n{number}: " for number in range(40)) + "}"
    services = "services: {a: {image: x, networks: [" + ", ".join(f"n{number}" for number in range(40)) + "]}}"
    found = translate(tmp_path, f"name: p\n{many}\n{services}\n", pool="10.77.0.0/18")
    subnets = [network["addresses"][0] for network in found.networks]
    assert len(set(subnets)) == 40 and all(subnet.startswith("10.77.") for subnet in subnets)
    one = translate(tmp_path, "name: p\nnetworks: {n7: {}}\nservices: {a: {image: x, networks: [n7]}}\n")
    again = translate(tmp_path, "name: p\nnetworks: {b: , n7: {}}\nservices: {a: {image: x, networks: [n7]}}\n")
    assert one.networks == again.networks


@pytest.mark.parametrize(
    ("service", "expected"),
    [
        ("command: []", {"args": []}),
        ("command: null", {}),
        ("entrypoint: [/a, b]\n        command: c 'd e'", {"command": ["/a", "b"], "args": ["c", "d e"]}),
        ("entrypoint: []\n        command: [c]", {"command": ["c"]}),
        ("restart: no", {"restart_policy": "no"}),
        ("cpus: 0", {"limits": {"cpu": "max"}}),
        ("cpu_quota: 50000", {"limits": {"cpu": "50000/100000"}}),
        ("cpus: 1.50\n        cpuset: 0-1", {"limits": {"cpu": "1.5", "cpuset": "0-1"}}),
        ("mem_limit: 1.5gb", {"limits": {"memory": str(3 << 29)}}),
        ("mem_limit: 1048576", {"limits": {"memory": "1048576"}}),
        (
            "blkio_config: {weight: 500, device_read_bps: [{path: /dev/sda, rate: 1mb}]}",
            {"limits": {"io": [{"device": "/dev/sda", "rbps": "1048576"}], "io_weight": 4950}},
        ),
        ("stop_grace_period: 500ms", {"stop_timeout": 1}),
        ("tty: false\n        devices: []\n        privileged: no", {}),
        ("labels: [a=b, c]", {"labels": {"a": "b", "c": ""}}),
        ("environment: {A: 'x$$y', B: '${X:-$$}'}", {"env": {"A": "x$y", "B": "$"}}),
        ("x-any: {y: z}", {}),
        ("environment: {x-a: b}\n        user: ${NOBODY:-}\n        restart: ''", {"env": {"x-a": "b"}}),
        (
            "userns_mode: host\n        uts: host\n        cgroup: host",
            {"namespaces": {"user": "host", "uts": "host", "cgroup": "host"}},
        ),
        ("runtime: crun", {"runtime": "crun"}),
        ("annotations: {a: b}", {"labels": {"a": "b"}}),
    ],
)
def test_one_key(tmp_path: Path, service: str, expected: dict[str, Any]) -> None:
    text = f"""
    services:
      a:
        image: x
        {service}
    """
    [container] = translate(tmp_path, text).containers
    rest = {name: value for name, value in container.items() if name not in ("name", "image", "networks")}
    assert rest == expected


def test_unsupported_keys_can_be_warnings(tmp_path: Path) -> None:
    text = """
    services:
      a:
        image: x
        tty: true
        build: .
        networks: {n: {link_local_ips: [169.254.8.8]}}
        deploy: {labels: {a: b}}
    networks:
      n: {internal: true}
    """
    found = translate(tmp_path, text, unsupported="warn")
    where = str(tmp_path / "site/compose.yaml")
    told = [warning.removeprefix(where).split(": ")[:2] for warning in found.warnings]
    assert told == [
        [":5", "services.a.tty"],
        [":6", "services.a.build"],
        [":7", "services.a.networks.n.link_local_ips"],
        [":8", "services.a.deploy.labels"],
        [":10", "networks.n.internal"],
    ]


def test_the_documentation_names_what_is_read_and_what_is_not() -> None:
    page = (collection.CHECKOUT / "docs/compose.md").read_text()
    whole = ("TOP", "SERVICE", "NETWORK", "ATTACHMENT", "VOLUME", "SECRET", "CONFIG", "DEPLOY", "RESOURCES")
    named = {key for section in whole for key in getattr(known_keys, section).known}
    sections = [s for s in vars(known_keys).values() if isinstance(s, known_keys.Section)]
    named |= {key for section in sections for key in (*section.unsupported, *section.idle)}
    named -= set(known_keys.LOGGING_OPTIONS.unsupported)  # "other logging options"
    named -= {key for key, option in known_keys.OPTIONS_BY_KEY.items() if key == option}  # "every other key ..."
    assert {key for key in named if f"`{key}`" not in page and f"`{key}: " not in page} == set()


def test_it_needs_ansible_for_the_last_check_alone_and_the_host_for_nothing() -> None:
    """What is read is read by project.py; everything else computes."""
    folder = collection.CHECKOUT / "plugins/plugin_utils/_compose"
    for file in folder.glob("*.py"):
        tree = ast.parse(file.read_text())
        named = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        named |= {f"{'.' * n.level}{n.module or ''}" for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
        assert "ansible" not in {name.partition(".")[0] for name in named} or file.name == "check.py", file.name
        ours = {name.removeprefix("...module_utils.") for name in named if name.startswith("...")}
        pure = {"_core.errors", "_core.ip_text", "_core.command_line", "_kernel.errors", "_kernel.terminal", "_kernel"}
        pure |= {"_image.format", "_container.records"}
        assert ours <= pure or file.name == "check.py", file.name
        calls = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
        assert "open" not in calls or file.name == "project.py", file.name


def test_every_section_says_each_key_once() -> None:
    sections = [section for section in vars(known_keys).values() if isinstance(section, known_keys.Section)]
    assert len(sections) > 20
    for section in sections:
        groups = (section.read, frozenset(section.unsupported), frozenset(section.idle), section.silent)
        assert sum(map(len, groups)) == len(section.known), section.name


def test_a_router_with_labels_and_a_migration(tmp_path: Path) -> None:
    text = """
    services:
      traefik:
        image: "traefik:v3.1"
        command:
          - "--providers.docker=true"
          - "--entrypoints.web.address=:80"
        ports: ["80:80", "127.0.0.1:8081:8080"]
        volumes: ["/var/run/docker.sock:/var/run/docker.sock:ro"]
      app:
        image: registry.example:5000/team/app@sha256:%s
        labels:
          - "traefik.http.routers.app.rule=Host(`app.example`) && PathPrefix(`/a=b`)"
          - traefik.enable=true
        depends_on:
          migrate: {condition: service_completed_successfully}
          cache: {condition: service_started, required: false}
        env_file: gitea.env
      migrate:
        image: registry.example:5000/team/app@sha256:%s
        command: ./manage.py migrate
        restart: "no"
      cache:
        image: memcached
        profiles: [fast]
    """
    found = translate(tmp_path, text % ("0" * 64, "0" * 64))
    router, app, migrate = found.containers
    assert router["args"] == ["--providers.docker=true", "--entrypoints.web.address=:80"]
    assert app["labels"] == {
        "traefik.http.routers.app.rule": "Host(`app.example`) && PathPrefix(`/a=b`)",
        "traefik.enable": "true",
    }
    assert app["depends_on"] == {"site-migrate-1": {"condition": "completed"}}
    assert migrate["args"] == ["./manage.py", "migrate"] and migrate["restart_policy"] == "no"
    assert len(found.images) == 2, "one for the two services that share it"
    fast = of(translate(tmp_path, text % ("0" * 64, "0" * 64), profiles=["fast"]), "site-app-1")
    assert fast["depends_on"]["site-cache-1"] == {"condition": "started"}
