"""A session that began on one server resumes on every other.

Starts three servers whose keys rotate every few seconds, opens sessions with
`openssl s_client` and resumes each on another server after at least one
rotation; kills keyd with SIGKILL for several rotations and brings it back;
draws what happened. The last line says it in numbers, all of them measured.

With --client it is about the other side: twelve servers of twelve names, and a client
that knows that they are one pool.

With --tokens it is about one-time tokens: each opens one of four servers' doors, once.

With --proxies two of them are nginx and HAProxy. HAProxy opens the tickets of one
rotation back and no older ones, so there sessions are resumed a little sooner: about
two in three across a rotation.
"""

import argparse
import itertools
import random
import signal
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import build
import demo_client
import demo_tokens
import fleet
import sclient
import steps

rotate_every = 3
publish_ahead = 18       # longer than keyd is away: rotations go on without it
lifetime = 60
dead_from, dead_until = 12, 24
ends = 36                # seconds after the first session


@dataclass
class Journey:
    """One session: begun on `start`, resumed on `other`."""

    protocol: str
    name: str
    start: str
    other: str
    begins: float
    resumed_at: float = -1
    trouble: str = ""   # why it was not resumed, although the handshakes worked


class Watch:
    """What is seen while it runs; shared by the threads."""

    def __init__(self):
        self.lock = threading.Lock()
        self.began = time.monotonic()
        self.failed = []        # (second, text) of handshakes that failed
        self.key_names = []     # (second, key name), as new ones appear in a.test's tickets
        self.keyd_dead = []     # [from, until]

    def now(self):
        return time.monotonic() - self.began

    def wait_until(self, second):
        time.sleep(max(0, second - self.now()))

    def failure(self, text):
        with self.lock:
            self.failed.append((self.now(), text))


class Demo:
    def __init__(self, running, scratch, pause=rotate_every + 0.5):
        self.pause = pause  # between a session's beginning and its resumption
        self.fleet = running
        self.scratch = Path(scratch)
        self.addresses = {}  # server -> virtual host -> address: HAProxy has one for each
        for name, address, _, names in running.endpoints():
            self.addresses.setdefault(name.partition(".")[0], {}).update(
                dict.fromkeys(names, address))
        self.numbers = itertools.count()
        self.watch = Watch()

    def connect(self, server, name, protocol, offer=None, keep=None, certificate=True):
        client = (self.fleet.dir / "client.crt", self.fleet.dir / "client.key")
        return sclient.connect(self.addresses[server][name], name, protocol, self.fleet.dir / "ca.pem",
                               offer, keep, client if certificate else None)

    def journeys(self):
        """Every ordered pair of servers, virtual host and protocol, twice, spread over the time."""
        every = [(protocol, name, start, other)
                 for protocol in sclient.protocols for name in fleet.vhosts
                 for start, other in itertools.permutations(self.addresses, 2)]
        both = random.sample(every, len(every)) + random.sample(every, len(every))
        last = ends - rotate_every - 1  # the last to begin still has to see a rotation
        return [Journey(*way, begins=last * place / len(both)) for place, way in enumerate(both)]

    def travel(self, journey):
        """Opens a session, waits for a rotation, resumes on the other server."""
        session = self.scratch / f"session{next(self.numbers)}"
        self.watch.wait_until(journey.begins)
        first = self.connect(journey.start, journey.name, journey.protocol, keep=session)
        where = f"{journey.protocol} {journey.name} {journey.start} -> {journey.other}"
        if not first.ok or first.reused:
            self.watch.failure(f"{where}: no full handshake\n{first.why()}")
            return
        if not first.key_name:
            journey.trouble = f"{where}: no ticket came"
            return
        self.watch.wait_until(self.watch.now() + self.pause)
        again = self.connect(journey.other, journey.name, journey.protocol, offer=session)
        if not again.ok:
            self.watch.failure(f"{where}: the second handshake failed\n{again.why()}")
        elif not again.reused:
            journey.trouble = f"{where}: a full handshake instead of a resumption"
        else:
            journey.resumed_at = self.watch.now()

    def look_at_keys(self):
        """A full handshake twice a second; the key name in its ticket shows each rotation."""
        servers = itertools.cycle(self.addresses)
        keep = self.scratch / "look"
        seen = set()
        while self.watch.now() < ends:
            shake = self.connect(next(servers), "a.test", "TLS 1.3", keep=keep)
            if not shake.ok:
                self.watch.failure(f"looking at the key of a.test\n{shake.why()}")
            elif shake.key_name and shake.key_name not in seen:
                seen.add(shake.key_name)
                self.watch.key_names.append((self.watch.now(), shake.key_name))
            time.sleep(0.5)

    def interrupt_keyd(self):
        self.watch.wait_until(dead_from)
        self.fleet.kill("keyd")
        self.watch.keyd_dead.append(self.watch.now())
        print("       keyd killed with SIGKILL")
        self.watch.wait_until(dead_until)
        if self.fleet.alive()["keyd"]:
            raise fleet.Trouble("keyd lives although it was killed")
        self.fleet.start("keyd")
        while self.fleet.status() is None:
            if self.watch.now() > ends:
                raise fleet.Trouble(f"keyd did not come back:\n{self.fleet.last_words('keyd')}")
            time.sleep(0.1)
        self.watch.keyd_dead.append(self.watch.now())
        print(f"       keyd is back after {self.dead_for():.0f} s")

    def dead_for(self):
        return self.watch.keyd_dead[1] - self.watch.keyd_dead[0]

    def run(self):
        journeys = self.journeys()
        with ThreadPoolExecutor(24) as threads:
            others = [threads.submit(self.look_at_keys), threads.submit(self.interrupt_keyd)]
            for task in [*(threads.submit(self.travel, journey) for journey in journeys), *others]:
                task.result()
        return journeys


def crossings(demo):
    """What must not resume, or not connect at all: [(what, whether it held)]."""
    checks = []
    server, other = list(demo.addresses)[:2]
    for protocol in sclient.protocols:
        session = demo.scratch / "crossing"
        for name in ("b.test", "secure.test"):
            first = demo.connect(server, "a.test", protocol, keep=session)
            there = demo.connect(other, name, protocol, offer=session)
            checks.append((f"{protocol}: a session of a.test is a full handshake at {name}",
                           first.ok and bool(first.key_name) and there.ok and not there.reused))
        bare = demo.connect(other, "secure.test", protocol, certificate=False)
        checks.append((f"{protocol}: secure.test refuses a client without a certificate",
                       not bare.ok))
        demo.connect(server, "a.test", protocol, keep=session)
        bare = demo.connect(other, "secure.test", protocol, offer=session, certificate=False)
        checks.append((f"{protocol}: ... also one that offers a session of a.test", not bare.ok))
    return checks


def draw(watch, journeys):
    """A time line, a character a second."""
    def row(title, marks):
        print(f"  {title:<26}{''.join(marks)}")

    span = range(ends)
    dead = [watch.keyd_dead[0] <= second < watch.keyd_dead[1] for second in span]
    changes = {int(when) for when, _ in watch.key_names[1:]}
    resumed = [sum(int(journey.resumed_at) == second for journey in journeys) for second in span]
    failed = [sum(int(when) == second for when, _ in watch.failed) for second in span]
    print()
    row("seconds", [f"{second:<10}" for second in span[::10]])
    row("keyd (x = dead)", ["x" if gone else "=" for gone in dead])
    row("a new key seals", ["|" if second in changes else "." for second in span])
    row("sessions resumed", [str(min(number, 9)) if number else "." for number in resumed])
    row("handshakes failed", [str(min(number, 9)) if number else "." for number in failed])
    print()


def report(demo, journeys, checks):
    """Prints what happened; True when all is as it should be."""
    watch = demo.watch
    draw(watch, journeys)
    for text, held in checks:
        print(f"  {'held' if held else 'BROKEN'}: {text}")
    for journey in journeys:
        if journey.trouble:
            print(f"  NOT RESUMED: {journey.trouble}")
    for _, text in watch.failed:
        print(f"  FAILED: {text}")

    resumed = {protocol: sum(journey.resumed_at >= 0 for journey in journeys
                             if journey.protocol == protocol) for protocol in sclient.protocols}
    rotations = len(watch.key_names) - 1
    while_dead = sum(watch.keyd_dead[0] < when < watch.keyd_dead[1] for when, _ in watch.key_names)
    print(f"\ndemo: {sum(resumed.values())} of {len(journeys)} sessions resumed on another server"
          f" (TLS 1.2: {resumed['TLS 1.2']}, TLS 1.3: {resumed['TLS 1.3']}),"
          f" {rotations} rotations, keyd dead for {demo.dead_for():.0f} s,"
          f" {len(watch.failed)} handshakes failed")
    return (sum(resumed.values()) == len(journeys) and not watch.failed
            and all(held for _, held in checks) and rotations >= 5 and while_dead >= 2)


def main():
    parser = argparse.ArgumentParser(prog="tools/demo", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--proxies", action="store_true",
                        help="the servers are an example, nginx and HAProxy")
    parser.add_argument("--client", action="store_true",
                        help="a client that knows the pool, at twelve servers")
    parser.add_argument("--tokens", action="store_true",
                        help="one-time tokens at two nginx, an HAProxy and an example server")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("demo: stopped"))
    if arguments.tokens:
        good = show_tokens()
    else:
        good = show_client() if arguments.client else show_servers(arguments)
    sys.exit(0 if good else 1)


def show_client():
    with tempfile.TemporaryDirectory(prefix="ticket-demo-") as scratch:
        running = demo_client.NamedFleet(Path(scratch) / "fleet")
        try:
            with steps.Step("build"):
                build.build("plain", ["keyd/keyd", "ticketctl/ticketctl", "examples/poolget",
                                      "examples/ticket-example-server"])
            return demo_client.run(running)
        except (steps.Failed, fleet.Trouble) as trouble:
            print(trouble)
            sys.exit("demo: failed")
        finally:
            running.down()


def show_tokens():
    with tempfile.TemporaryDirectory(prefix="ticket-demo-") as scratch:
        running = fleet.Fleet(Path(scratch) / "fleet")
        try:
            with steps.Step("build"):
                build.build("plain", ["keyd/keyd", "ticketctl/ticketctl",
                                      "examples/ticket-example-server",
                                      "plugins/nginx/ngx_http_ticket_module.so"])
            return demo_tokens.run(running)
        except (steps.Failed, fleet.Trouble) as trouble:
            print(trouble)
            sys.exit("demo: failed")
        finally:
            running.down()


def show_servers(arguments):
    kinds = {"servers": 1, "nginx": 1, "haproxy": 1} if arguments.proxies else {"servers": 3}
    programs = ["keyd/keyd", "ticketctl/ticketctl", "examples/ticket-example-server"]
    if arguments.proxies:
        programs.append("plugins/nginx/ngx_http_ticket_module.so")
    with tempfile.TemporaryDirectory(prefix="ticket-demo-") as scratch:
        running = fleet.Fleet(Path(scratch) / "fleet")
        try:
            with steps.Step("build"):
                build.build("plain", programs)
            with steps.Step(f"start three servers whose keys rotate every {rotate_every} s"):
                running.up(policy=fleet.policy(rotate_every, lifetime, publish_ahead), **kinds)
            demo = Demo(running, scratch, *([0.7 * rotate_every] if arguments.proxies else []))
            with steps.Step(f"open sessions on one server, resume them on another, for {ends} s"):
                journeys = demo.run()
            with steps.Step("try what must not resume"):
                checks = crossings(demo)
            return report(demo, journeys, checks)
        except (steps.Failed, fleet.Trouble) as trouble:
            print(trouble)
            sys.exit("demo: failed")
        finally:
            running.down()


if __name__ == "__main__":
    main()
