"""What an honest member feels while keyd is under attack, and what keyd uses when idle."""

import http.client
import os
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path

import steps
from fleet import Fleet


def tls(fleet, host):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.load_cert_chain(fleet.dir / f"hosts/host{host}/member.pem",
                            fleet.dir / f"hosts/host{host}/member.key")
    return context


def fetch(address, context):
    """Milliseconds of a TLS connection, a bundle and a wrap."""
    began = time.monotonic()
    connection = http.client.HTTPSConnection(address, timeout=20, context=context)
    for what in ("bundle", "wraps/self"):
        connection.request("GET", f"/v1/pools/fleet/{what}")
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != 200 or not body:
            raise steps.Failed(f"keyd answered {answer.status} to an honest member")
    connection.close()
    return (time.monotonic() - began) * 1000


def used(pids):
    """CPU seconds of these processes so far."""
    ticks = sum(sum(int(word) for word in Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2]
                    .split()[11:13]) for pid in pids)
    return ticks / os.sysconf("SC_CLK_TCK")


def resident(pids):
    """MiB of these processes now."""
    lines = (line for pid in pids for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return sum(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) / 1024


def measure():
    """name -> value."""
    with tempfile.TemporaryDirectory(prefix="ticket-bench-") as scratch:
        fleet = Fleet(Path(scratch) / "fleet")
        try:
            fleet.up(3, {"rotate_every": "1h", "lifetime": "12h", "publish_ahead": "6h",
                         "stretch": "12h"})
            return attacked(fleet)
        finally:
            fleet.down()


def attacked(fleet):
    with fleet.state() as processes:
        keeper = processes["keyd"]["pid"]
    front = int(Path(f"/proc/{keeper}/task/{keeper}/children").read_text())
    config = tomllib.loads((fleet.dir / "authority/keyd.toml").read_text())
    address = config["authority"]["listen"][0]
    context = tls(fleet, 1)

    time.sleep(2)
    before = used([keeper, front])
    time.sleep(15)
    idle = (used([keeper, front]) - before) / 15 * 100

    member = fleet.dir / "hosts/host2"
    attack = subprocess.Popen([sys.executable, Path(__file__).with_name("attack.py"), "--address",
                               address, "--pool", "fleet", "--cert", member / "member.pem",
                               "--key", member / "member.key", "--second-cert",
                               fleet.dir / "hosts/host3/member.pem", "--second-key",
                               fleet.dir / "hosts/host3/member.key", "--seconds", "25"],
                              stdout=subprocess.DEVNULL)
    times, most = [], 0
    time.sleep(2)
    while attack.poll() is None:
        times.append(fetch(address, context))
        most = max(most, resident([keeper, front]))
        time.sleep(0.02)
    times.sort()
    return {"keyd_idle_cpu_percent": idle,
            "fetch_median_under_attack_ms": statistics.median(times),
            "fetch_p99_under_attack_ms": times[int(len(times) * 0.99)],
            "keyd_under_attack_mib": most}
