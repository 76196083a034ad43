"""A client that knows the pool: one full handshake, then resumption at every server.

Starts twelve servers with a name, a key and a certificate of its own each, and nsd, which
tells what `ticketctl pool dns` says. `poolget` then visits all twelve again and again, each
time from nothing: as a plain client, with the client manifest of `ticketctl pool manifest`,
and by DNS alone. The last line says it in numbers, all of them measured.
"""

import json
import resource
import statistics
import subprocess
from pathlib import Path

import fleet
import steps

servers = 12
domain = "pool.test"
rounds = 20  # of a visit to all, for each way and slice
slices = 5   # of the three ways in turn


class NamedFleet(fleet.Fleet):
    """A server a name. Each certificate covers the others' names too: a client offers a
    session under another name only if the certificate that it saw covers that."""

    def __init__(self, folder, rsa=False):
        super().__init__(folder)
        self.rsa = rsa

    def names(self, host):
        return [f"s{host}.{domain}"]

    def make_certificates(self):
        fleet.make_web_certificates(
            self.dir, {self.names(host)[0]: [self.names(host)[0], f"*.{domain}"]
                       for host in range(1, servers + 1)}, self.rsa)

    def server_command(self, host):
        name = self.names(host)[0]
        return [str(self.binaries / "examples/ticket-example-server"), "--listen", "127.0.0.1:0",
                "--port-file", str(self.port_file(host)), "--ring", str(self.ring(host)),
                "--binding", "context", "--host",
                f"{name}={self.dir}/web/{name}.crt,{self.dir}/web/{name}.key,pool"]


    def places(self):
        """[(host name, port, address)] as clients know them."""
        return [(names[0], 443, address) for _, address, _, names in self.endpoints()]


class Visits:
    """poolget at all servers, and what it cost."""

    def __init__(self, running, options=()):
        self.fleet = running
        self.options = options
        manifest = running.ticketctl("pool", "manifest", fleet.pool)
        if manifest is None:
            raise fleet.Trouble("ticketctl pool manifest fails")
        path = running.dir / "client-manifest.json"
        path.write_text(manifest)
        self.ways = {"plain": [], "manifest": ["--manifest", str(path)],
                     "dns": [f"--dns={running.dns}"]}
        if not running.dns:
            del self.ways["dns"]

    def command(self, way, times):
        argv = [str(self.fleet.binaries / "examples/poolget"), "--json", "--rounds", str(times),
                "--ca", str(self.fleet.dir / "ca.pem"), *self.options, *self.ways[way]]
        for name, port, address in self.fleet.places():
            argv += ["--resolve", f"{name}:{port}:{address}", f"https://{name}:{port}/"]
        return argv

    def once(self, way):
        """Each server's handshake, as poolget tells it, and the sum."""
        *visits, total = map(json.loads, self.get(way, 1).splitlines())
        return visits, total

    def get(self, way, times):
        done = subprocess.run(self.command(way, times), stdin=subprocess.DEVNULL, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120)
        if done.returncode != 0:
            raise fleet.Trouble(f"poolget ({way}) fails:\n{done.stderr}")
        return done.stdout

    def cost(self, way):
        """Milliseconds of CPU, client and servers, of one visit to all; full handshakes of it."""
        before, began = self.server_nanoseconds(), children_nanoseconds()
        total = json.loads(self.get(way, rounds).splitlines()[-1])
        spent = self.server_nanoseconds() - before + children_nanoseconds() - began
        return spent / 1e6 / rounds, total["full"] / rounds

    def server_nanoseconds(self):
        with self.fleet.state() as processes:
            pids = [process["pid"] for name, process in processes.items()
                    if name.startswith("server")]
        return sum(int(task.read_text().split()[0]) for pid in pids
                   for task in Path(f"/proc/{pid}/task").glob("*/schedstat"))


def children_nanoseconds():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (used.ru_utime + used.ru_stime) * 1e9


def start(running):
    running.up(servers, fleet.policy(60, 600), dns=True)
    return Visits(running)


def measure(visits):
    """way -> (milliseconds, full handshakes) of one visit to all; medians of alternating slices."""
    measured = {way: [] for way in visits.ways}
    for _ in range(slices):
        for way in visits.ways:
            measured[way].append(visits.cost(way))
    return {way: tuple(statistics.median(column) for column in zip(*rows))
            for way, rows in measured.items()}


def draw(visits):
    """A row of what happened at each server, F = full, r = resumed; True when as promised."""
    good = True
    print()
    print(f"  {'server':<28}" + "".join(f"{number:>4}" for number in range(1, servers + 1)))
    for way in visits.ways:
        shakes, _ = visits.once(way)
        print(f"  {way + ' client':<28}" + "".join("   r" if shake["resumed"] else "   F"
                                                   for shake in shakes))
        full = sum(not shake["resumed"] for shake in shakes)
        good &= full == (servers if way == "plain" else 1)
    print()
    return good


def run(running):
    """Prints what happened; True when all is as it should be."""
    with steps.Step(f"start {servers} servers with a name and certificate each, and nsd"):
        visits = start(running)
    good = draw(visits)
    with steps.Step(f"visit all {servers} servers, {slices} times {rounds} rounds each way"):
        measured = measure(visits)
    print(f"\n  {'':<28}{'full handshakes':>16}{'CPU, client and servers':>28}")
    for way, (milliseconds, full) in measured.items():
        print(f"  {way + ' client':<28}{full:>16.1f}{milliseconds:>25.1f} ms")
    plain, pooled = measured["plain"], measured["manifest"]
    print(f"\ndemo: {servers} servers, full handshakes {plain[1]:.0f} -> {pooled[1]:.0f}, client"
          f" and server CPU {plain[0]:.1f} -> {pooled[0]:.1f} ms")
    return good and measured["manifest"][1] == measured["dns"][1] == 1
