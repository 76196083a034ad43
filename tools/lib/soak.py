"""Sessions resume while everything is reloaded, killed and restarted at random.

A fleet of an example server, nginx and HAProxy whose keys rotate every few seconds;
`openssl s_client` opens sessions on one server and resumes them on another without
end; meanwhile keyd, agents and servers are killed and started, nginx and HAProxy
reloaded. The last line says how many handshakes failed, and how many were full where a
ticket was valid for that kind of server: both must be 0.

Valid: younger than the lifetime; at HAProxy, which holds three keys, younger than a
rotation, and neither its agent was away lately nor, when it was sealed, that of an
HAProxy that sealed it. A server that is being restarted is asked for nothing; one that
reloads is.
"""

import argparse
import contextlib
import itertools
import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from pathlib import Path

import build
import fleet
import sclient
import steps

rotate_every = 5
lifetime = 60
publish_ahead = 30
slack = 8             # seconds from which on a ticket is not sure to be valid any more
most_sessions = 200
patience_at_haproxy = 3  # a rotation, less what feeding may take


class Gate:
    """Many may pass, or one may close it."""

    def __init__(self):
        self.lock = threading.Condition()
        self.inside = 0
        self.closed = False

    @contextlib.contextmanager
    def passed(self):
        """False when it is closed now."""
        with self.lock:
            allowed = not self.closed
            self.inside += allowed
        try:
            yield allowed
        finally:
            with self.lock:
                self.inside -= allowed
                self.lock.notify_all()

    @contextlib.contextmanager
    def shut(self):
        with self.lock:
            self.closed = True
            self.lock.wait_for(lambda: self.inside == 0)
        try:
            yield
        finally:
            with self.lock:
                self.closed = False


@dataclass
class Server:
    """A process of the fleet and the endpoints that it serves."""

    name: str    # server3
    kind: str
    endpoints: dict = field(default_factory=dict)  # virtual host -> address
    gate: Gate = field(default_factory=Gate)
    agent_away_until: float = 0

    def sealed_newest(self, when):
        """Whether it did not lag behind; HAProxy without its agent does, by a key a rotation."""
        return self.kind != "haproxy" or when > self.agent_away_until


@dataclass
class Session:
    path: Path
    name: str
    protocol: str
    made: float
    start: Server
    newest: bool  # sealed with the pool's newest key


class Soak:
    def __init__(self, running, scratch, seconds):
        self.fleet, self.scratch = running, Path(scratch)
        self.began = time.monotonic()
        self.ends = self.began + seconds
        self.servers = {}
        for name, address, kind, names in running.endpoints():
            process = name.partition(".")[0]
            server = self.servers.setdefault(process, Server(process, kind))
            server.endpoints |= dict.fromkeys(names, address)
        self.lock = threading.Lock()
        self.sessions = []
        self.numbers = itertools.count()
        self.counts = Counter()
        self.deeds = Counter()
        self.trouble = []
        self.lately = deque(maxlen=8)  # (when, what was done to whom)

    def going_on(self):
        return time.monotonic() < self.ends and len(self.trouble) < 20

    # -- the load ---------------------------------------------------------------

    def connect(self, server, session_name, protocol, offer=None, keep=None):
        certificate = (self.fleet.dir / "client.crt", self.fleet.dir / "client.key")
        return sclient.connect(server.endpoints[session_name], session_name, protocol,
                               self.fleet.dir / "ca.pem", offer, keep, certificate, timeout=20)

    def note(self, what, text):
        now = time.monotonic() - self.began
        with self.lock:
            lately = ", ".join(f"{now - when:.1f} s ago {deed}" for when, deed in self.lately)
            self.trouble.append(f"{now:6.1f} s  {what}: {text}\n          lately: {lately}")

    def happens(self, deed):
        with self.lock:
            self.lately.append((time.monotonic() - self.began, deed))

    def open(self):
        server = random.choice(list(self.servers.values()))
        name = random.choice(fleet.vhosts)
        protocol = random.choice(list(sclient.protocols))
        path = self.scratch / f"session{next(self.numbers)}"
        with server.gate.passed() as allowed:
            if not allowed:
                return
            made = time.monotonic()
            shake = self.connect(server, name, protocol, keep=path)
        where = f"{protocol} {name} at {server.name} ({server.kind})"
        with self.lock:
            self.counts["full"] += 1
        if not shake.ok:
            self.note("FAILED", f"{where}\n{shake.why()}")
        elif not shake.key_name:
            self.note("NO TICKET", where)
        else:
            self.keep(Session(path, name, protocol, made, server, server.sealed_newest(made)))

    def keep(self, session):
        """The oldest goes when there are many: what is resumed later is mostly still valid."""
        with self.lock:
            self.sessions.append(session)
            if len(self.sessions) > most_sessions:
                oldest = min(range(len(self.sessions)), key=lambda i: self.sessions[i].made)
                self.sessions.pop(oldest).path.unlink(missing_ok=True)

    def resume(self):
        with self.lock:
            if len(self.sessions) < 30:
                return False
            session = self.sessions.pop(random.randrange(len(self.sessions)))
        server = random.choice(list(self.servers.values()))
        path = self.scratch / f"session{next(self.numbers)}"
        with server.gate.passed() as allowed:
            if not allowed:
                with self.lock:
                    self.sessions.append(session)
                return True
            asked = time.monotonic()
            shake = self.connect(server, session.name, session.protocol, offer=session.path,
                                 keep=path)
        self.judge(session, server, shake, asked)
        if shake.ok and shake.key_name and session.protocol == "TLS 1.3":
            self.keep(Session(path, session.name, session.protocol, asked, server,
                              server.sealed_newest(asked)))
        session.path.unlink(missing_ok=True)
        return True

    def judge(self, session, server, shake, asked):
        age = time.monotonic() - session.made
        due = age < lifetime - slack
        if server.kind == "haproxy":
            # three keys: what one sealed that has yet to hear of a rotation goes first
            due = (age < patience_at_haproxy and session.newest
                   and asked > server.agent_away_until)
        where = (f"{session.protocol} {session.name} from {session.start.name} at {server.name}"
                 f" ({server.kind}), {age:.1f} s old")
        with self.lock:
            self.counts["due"] += due
            self.counts["resumed"] += shake.reused
            self.counts["full"] += not shake.reused
        if not shake.ok:
            self.note("FAILED", f"{where}\n{shake.why()}")
        elif due and not shake.reused:
            self.note("NOT RESUMED", where)

    def load(self):
        while self.going_on():
            if random.random() < 0.3 or not self.resume():
                self.open()

    # -- what goes wrong ---------------------------------------------------------

    def signal(self, name, number):
        with self.fleet.state() as processes:
            pid = processes[name]["pid"]
        os.kill(pid, number)

    def restart_keyd(self):
        self.happens("keyd killed")
        self.fleet.kill("keyd")
        time.sleep(random.uniform(0, 8))
        self.happens("keyd started")
        self.fleet.start("keyd")
        self.fleet.wait(lambda: self.fleet.status() is not None, 30, "keyd", "keyd")

    def restart_agent(self):
        server = random.choice(list(self.servers.values()))
        agent = server.name.replace("server", "agent")
        server.agent_away_until = time.monotonic() + 3600
        self.happens(f"{agent} killed")
        self.fleet.kill(agent)
        time.sleep(random.uniform(0, 4))
        self.happens(f"{agent} started")
        self.fleet.start(agent)
        server.agent_away_until = time.monotonic() + 3 * rotate_every

    def restart_server(self):
        server = random.choice(list(self.servers.values()))
        with server.gate.shut():
            self.happens(f"{server.name} restarted")
            # Debian's masters leave workers behind when they are killed
            self.fleet.kill(server.name,
                            signal.SIGKILL if server.kind == "custom" else signal.SIGTERM)
            self.fleet.start(server.name)
            self.fleet.wait(lambda: self.accepts(server), 20, "it to listen", server.name)

    def accepts(self, server):
        """Its ports, which an example server chooses anew; and its ring is taken up."""
        if server.kind == "custom":
            host = server.name[len("server"):]
            if not self.fleet.port_file(host).exists():
                return False
            server.endpoints = dict.fromkeys(fleet.vhosts, self.fleet.address(host))
        if not all(fleet.accepts(address) for address in server.endpoints.values()):
            return False
        path = self.scratch / "probe"
        shake = self.connect(server, "a.test", "TLS 1.3", keep=path)
        return shake.ok and bool(shake.key_name)

    def reload_server(self):
        server = random.choice([server for server in self.servers.values()
                                if server.kind != "custom"])
        self.happens(f"{server.name} reloaded")
        self.signal(server.name, signal.SIGHUP if server.kind == "nginx" else signal.SIGUSR2)

    def reload_keyd(self):
        self.happens("keyd reloaded")
        self.signal("keyd", signal.SIGHUP)

    def disturb(self):
        deeds = {"keyd killed": self.restart_keyd, "agent killed": self.restart_agent,
                 "server restarted": self.restart_server, "server reloaded": self.reload_server,
                 "keyd reloaded": self.reload_keyd}
        while self.going_on():
            time.sleep(random.uniform(0.5, 2.5))
            deed = random.choice(list(deeds))
            try:
                deeds[deed]()
            except fleet.Trouble as trouble:
                self.note("BROKEN", f"{deed}: {trouble}")
                return
            self.deeds[deed] += 1

    def tell(self):
        while self.going_on():
            time.sleep(min(15, max(0.1, self.ends - time.monotonic())))
            print(f"       {time.monotonic() - self.began:4.0f} s: {self.counts['resumed']} resumed,"
                  f" {self.counts['full']} full, {sum(self.deeds.values())} disturbances,"
                  f" {len(self.trouble)} troubles")

    def run(self):
        threads = [threading.Thread(target=work)
                   for work in [self.load] * 6 + [self.disturb, self.tell]]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def report(self):
        """Prints what happened; True when all is as it should be."""
        for text in self.trouble:
            print(text)
        took = time.monotonic() - self.began
        kinds = Counter(text.split("s  ", 1)[1].partition(":")[0] for text in self.trouble)
        print(f"\nsoak: {took / 60:.1f} minutes, {took // rotate_every:.0f} rotations, "
              + ", ".join(f"{what} {times}x" for what, times in sorted(self.deeds.items())))
        print(f"soak: {self.counts['full'] + self.counts['resumed']} handshakes,"
              f" {self.counts['resumed']} resumed, {kinds['NOT RESUMED']} full of"
              f" {self.counts['due']} where a ticket was valid,"
              f" {sum(kinds.values()) - kinds['NOT RESUMED']} failed")
        return not self.trouble and self.counts["due"] > 0 and bool(self.deeds)


def main():
    parser = argparse.ArgumentParser(prog="tools/soak", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10, help="how long (default 10)")
    parser.add_argument("--servers", type=int, default=1, help="of examples/ (default 1)")
    parser.add_argument("--nginx", type=int, default=2, help="default 2")
    parser.add_argument("--haproxy", type=int, default=2, help="default 2")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("soak: stopped"))
    with tempfile.TemporaryDirectory(prefix="ticket-soak-") as scratch:
        running = fleet.Fleet(Path(scratch) / "fleet")
        try:
            with steps.Step("build"):
                build.build("plain", ["keyd/keyd", "ticketctl/ticketctl",
                                      "examples/ticket-example-server",
                                      "plugins/nginx/ngx_http_ticket_module.so"])
            with steps.Step("start the fleet"):
                running.up(arguments.servers,
                           fleet.policy(rotate_every, lifetime, publish_ahead),
                           arguments.nginx, arguments.haproxy)
            soak = Soak(running, scratch, arguments.minutes * 60)
            with steps.Step(f"load, and disturb, for {arguments.minutes:g} minutes"):
                soak.run()
            good = soak.report()
        except (steps.Failed, fleet.Trouble) as trouble:
            print(trouble)
            sys.exit("soak: failed")
        finally:
            running.down()
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
