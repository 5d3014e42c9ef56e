# Copyright: (c) 2026, barekernel.containers maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What `nsrun COMMAND --help` says."""

from __future__ import annotations

_CREATE = """
  -b, --bundle DIR          the bundle; the working directory when not set
      --pid-file FILE       write the PID of the container's init there
      --console-socket PATH send the terminal to this Unix socket (process.terminal)
      --preserve-fds N      hand on the descriptors 3 to 2+N that were left open
      --no-new-keyring      accepted; every container gets a session keyring of its own
      --no-pivot            refused
"""
_LAUNCH = "FILE is the launch.json of a declared container, /var/lib/barekernel/containers/NAME/launch.json."

#: command -> (arguments, what it does, its options).
TEXTS = {
    "create": (
        "ID",
        "Makes a container from an OCI bundle; its program waits for start. A terminal of the caller is not\n"
        "handed on, but /dev/null in its place.",
        _CREATE,
    ),
    "start": ("ID", "Starts the program of a created container.", ""),
    "run": (
        "ID",
        "Creates and starts a container, waits for its end and deletes it. The exit status is the program's.",
        _CREATE
        + """
  -d, --detach              return as soon as it runs, and do not delete it
      --keep                do not delete it in the end
      --no-subreaper        accepted, without effect
""".lstrip("\n"),
    ),
    "exec": (
        "ID COMMAND [ARGUMENT...]",
        "Runs a command in a running container. The exit status is the command's. Standard input, output and\n"
        "error are handed on; where they are a terminal, through pipes that end with the command, unless --tty\n"
        "gives it a terminal of its own. With --detach /dev/null takes the place of a terminal.",
        """
  -t, --tty                 give the command a terminal of its own
  -i, --interactive         accepted: standard input is always handed on; -it is -i -t
  -d, --detach              return as soon as it runs
  -u, --user USER[:GROUP]   IDs, or names of the container's /etc/passwd and /etc/group
  -g, --additional-gids GID a further group; repeatable
  -e, --env NAME=VALUE      set an environment variable; repeatable
      --cwd DIR             working directory inside the container
  -p, --process FILE        an OCI process object instead of the container's own
      --no-new-privs        set no_new_privs
      --pid-file FILE       write the PID of the command there
      --console-socket PATH send the terminal to this Unix socket
      --preserve-fds N      hand on the descriptors 3 to 2+N that were left open
      --ignore-paused       accepted, without effect
  -c, --cap CAPABILITY      refused; name the sets with --process
""",
    ),
    "state": ("ID", "Prints the state of a container as JSON (OCI runtime-spec, State).", ""),
    "kill": (
        "[--all] ID [SIGNAL]",
        "Sends a signal to the container's init; SIGTERM when not set.",
        "\n  -a, --all                 send it to every process of the container\n",
    ),
    "delete": (
        "ID",
        "Removes what is left of a stopped container.",
        "\n  -f, --force               kill one that runs; one that does not exist is no error\n",
    ),
    "pause": ("ID", "Freezes the processes of a container.", ""),
    "resume": ("ID", "Thaws the processes of a container.", ""),
    "list": (
        "",
        "Lists containers.",
        "\n  -f, --format FORMAT       table or json\n  -q, --quiet               IDs only\n",
    ),
    "ps": ("ID", "Lists the processes of a container.", "\n  -f, --format FORMAT       table or json\n"),
    "spec": (
        "",
        "Writes a config.json to begin with.",
        "\n  -b, --bundle DIR          where; the working directory when not set\n",
    ),
    "features": ("", "Prints what this runtime supports as JSON (OCI runtime-spec, features).", ""),
    "supervise": ("FILE", "Starts a declared container and stays beside it in the background.\n" + _LAUNCH, ""),
    "starter": (
        "",
        "Supervises as many declared containers as it is told to on its standard input, a socket: what Ansible's\n"
        "tasks start where they start many.",
        "",
    ),
    "stop": (
        "FILE",
        "Stops a declared container that nsrun supervises.\n" + _LAUNCH,
        "\n  -t, --timeout SECONDS     how long it may take after its stop signal; as declared when not set\n",
    ),
    "launch": ("FILE", "Starts a declared container for its systemd unit.\n" + _LAUNCH, ""),
    "settle": ("FILE", "Clears what a declared container left when its systemd unit stopped.\n" + _LAUNCH, ""),
}


def of_command(name: str) -> str:
    """The text for one of the commands."""
    arguments, what, options = TEXTS[name]
    words = " ".join(filter(None, ("usage: nsrun", name, "[OPTION...]" if options else "", arguments)))
    return f"{words}\n\n{what}\n{options}"
