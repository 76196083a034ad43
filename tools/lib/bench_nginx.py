"""Server CPU of a resumed handshake: nginx with the module against nginx with a static
ssl_session_ticket_key, in paired slices, a worker and a client on a processor each."""

import json
import os
import signal
import subprocess
import tempfile
from pathlib import Path

import fleet
import steps

slices = 40
handshakes = 300


def static_config(folder, running, port):
    """The module's configuration, with nginx's own tickets instead."""
    (folder / "temp").mkdir(parents=True)
    (folder / "key").write_bytes(os.urandom(80))
    (folder / "key").chmod(0o600)
    text = running.nginx_config(folder, port, "off")
    text = text.replace("    ticket_ring off;\n", f"    ssl_session_ticket_key {folder}/key;\n")
    text = "\n".join(line for line in text.splitlines() if not line.strip().startswith("ticket_"))
    (folder / "nginx.conf").write_text(text.replace("ssl_early_data on;", ""))
    return ["/usr/sbin/nginx", "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e",
            "stderr", "-g", "daemon off;"]


def one_worker(master):
    """Ends all workers but one, so that one process does the work; pins it."""
    children = Path(f"/proc/{master}/task/{master}/children").read_text().split()
    if len(children) != 1:
        raise steps.Failed(f"nginx {master} has {len(children)} workers, not one")
    if len(os.sched_getaffinity(0)) > 1:
        os.sched_setaffinity(int(children[0]), {sorted(os.sched_getaffinity(0))[0]})
    return children[0]


def measure(where):
    """name -> value."""
    with tempfile.TemporaryDirectory(prefix="ticket-bench-") as scratch:
        running = fleet.Fleet(Path(scratch) / "fleet")
        running.nginx_workers = 1
        static = None
        try:
            running.up(0, {"rotate_every": "1h", "lifetime": "12h", "publish_ahead": "6h",
                           "stretch": "12h"}, nginx=1)
            port = fleet.unused_port()
            argv = static_config(Path(scratch) / "static", running, port)
            static = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                      stderr=subprocess.DEVNULL)
            running.wait(lambda: fleet.accepts(f"127.0.0.1:{port}"), 10, "nginx", "server1")
            with running.state() as processes:
                module = processes["server1"]["pid"]
            return compare(where, [(str(port), one_worker(static.pid)),
                                   (running.address(1).rpartition(":")[2], one_worker(module))])
        finally:
            if static:
                static.send_signal(signal.SIGTERM)
                static.wait(10)
            running.down()


def compare(where, places):
    measured = {}
    processors = sorted(os.sched_getaffinity(0))
    for version in ("12", "13"):
        done = subprocess.run([where / "bench/ticket-resume-bench", version, str(slices),
                               str(handshakes), *places[0], *places[1]], stdout=subprocess.PIPE,
                              text=True,
                              preexec_fn=lambda: os.sched_setaffinity(0, {processors[-1]}))
        if done.returncode != 0:
            raise steps.Failed("the benchmark of nginx failed")
        result = json.loads(done.stdout)
        name = f"nginx_resume_tls{version}_vs_static"
        measured |= {name: result["ratio"], name + "_q1": result["q1"], name + "_q3": result["q3"],
                     name + "_us": result["second_us"]}
    return measured
