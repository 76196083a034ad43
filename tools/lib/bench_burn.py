"""How long an order takes to reach the last of 200 connected agents.

Real processes: one keyd, 200 agents, each a member of its own with its own state and
ring file (on tmpfs, as if each had its own machine's disk). Time runs from the order to
the line in the last agent's log that says that its ring has the new generation.
"""

import datetime
import json
import re
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import steps
from fleet import unused_port

agents = 200
line = re.compile(r"^(\S+) agent info (?:applied|ready:) web generation (\d+)$", re.MULTILINE)


def milliseconds(stamp):
    return datetime.datetime.fromisoformat(stamp.replace("Z", "+00:00")).timestamp() * 1000


class Crowd:
    def __init__(self, binaries, folder):
        self.binaries = binaries
        self.folder = folder
        self.processes = []

    def ticketctl(self, *words):
        done = subprocess.run([self.binaries / "ticketctl/ticketctl", *words],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode != 0:
            raise steps.Failed(done.stdout)
        return done.stdout

    def start(self, name, *words):
        with open(self.folder / f"{name}.log", "wb") as log:
            self.processes.append(subprocess.Popen([self.binaries / "keyd/keyd", *words],
                                                   stdin=subprocess.DEVNULL, stdout=log,
                                                   stderr=log))

    def up(self):
        authority = self.folder / "authority"
        self.ticketctl("init", "--pool", "web", "--dir", authority, "--listen",
                       f"127.0.0.1:{unused_port()}")
        self.start("keyd", "authority", "--config", authority / "keyd.toml")
        for number in range(1, agents + 1):
            name = f"host{number}"
            ring = authority / "members" / name / "web.ring"
            self.ticketctl("member", "add", name, "--pool", "web", "--dir", authority, "--ring",
                           ring)
            self.start(name, "agent", "--config", ring.with_name("agent.toml"))
        self.wait(lambda: all(self.applied(n) for n in range(1, agents + 1)), "all agents' rings")

    def down(self):
        for process in reversed(self.processes):
            process.terminate()
        for process in self.processes:
            process.wait(20)

    def applied(self, number):
        """[(milliseconds, generation)] of one agent, oldest first."""
        text = (self.folder / f"host{number}.log").read_text()
        return [(milliseconds(stamp), int(generation))
                for stamp, generation in line.findall(text)]

    def wait(self, condition, what):
        patience = time.monotonic() + 90
        while not condition():
            if time.monotonic() > patience:
                raise steps.Failed(f"waited 90 s for {what}")
            time.sleep(0.2)

    def reach(self, numbers, *order):
        """Milliseconds from an order to the last agent that runs on what came of it."""
        began = time.time() * 1000
        answer = json.loads(self.ticketctl(*order, "--pool", "web", "--json", "--socket",
                                           self.folder / "authority/keyd.sock"))

        def first(number):
            return next((at for at, generation in self.applied(number)
                         if generation >= answer["generation"]), None)

        self.wait(lambda: all(first(n) for n in numbers), "the order to reach all")
        return max(first(n) for n in numbers) - began


def measure(binaries):
    """name -> value."""
    folder = Path(tempfile.mkdtemp(prefix="ticket-bench-", dir="/dev/shm"))
    crowd = Crowd(binaries, folder)
    try:
        crowd.up()
        everybody = range(1, agents + 1)
        revoked = [crowd.reach(everybody, "revoke", "--member", f"host{n}", "--from", "1h ago",
                               "--until", "now") for n in (1, 2, 3)]
        burned = []
        for n in (agents, agents - 1, agents - 2):
            time.sleep(3)  # the new epoch seals, all is quiet
            burned.append(crowd.reach(range(1, n), "member", "revoke", f"host{n}"))
    finally:
        crowd.down()
        shutil.rmtree(folder)
    return {"revoke_to_last_agent_ms": sorted(revoked)[1],
            "burn_to_last_agent_ms": sorted(burned)[1]}
