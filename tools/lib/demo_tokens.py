"""A token opens one door, once, wherever it is presented.

Starts two nginx, an HAProxy and an example server with a door each that opens for a token,
a Redis that they share, and keyd as the issuer. `ticketctl token get` gets 200 tokens
blindly; each is presented at all four doors at the same moment, and then again. The last
line says it in numbers, all of them measured.
"""

import json
import subprocess
import threading
from collections import Counter
from dataclasses import dataclass, field

import fleet
import fleet_tokens
import steps

count = 200
rounds = 2


@dataclass
class Presented:
    """What became of the presentations of all tokens: [round][token][server] -> HTTP status."""

    servers: list
    answers: list = field(default_factory=list)

    def accepted(self, token):
        return sum(answer == 200 for each in self.answers for answer in each[token].values())

    def tally(self):
        return [Counter((server, answer) for token in each for server, answer in token.items())
                for each in self.answers]


def get_tokens(running):
    """The client's side, as an operator would try it."""
    argv = [str(running.binaries / "ticketctl/ticketctl"), "token", "get", "--json",
            "--count", str(count), *running.token_options()]
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=120)
    if done.returncode != 0:
        raise fleet.Trouble(f"ticketctl token get fails: {done.stderr}")
    return json.loads(done.stdout)["tokens"]


def knock_everywhere(running, tokens):
    """Each token at every door at the same moment, then all of them once more."""
    hosts = {name.partition(".")[0]: address for name, address, _, names in running.endpoints()
             if fleet_tokens.origin in names}
    seen = Presented(list(hosts), [[{} for _ in tokens] for _ in range(rounds)])
    together = threading.Barrier(len(hosts))
    troubles = []

    def visit(server, address):
        try:
            door = fleet_tokens.Door(address, running.dir / "ca.pem")
            for each in seen.answers:
                for place, token in enumerate(tokens):
                    together.wait(30)
                    each[place][server] = door.knock(token).status
        except Exception as trouble:  # pylint: disable=broad-except
            troubles.append(f"{server}: {type(trouble).__name__}: {trouble}")
            together.abort()

    threads = [threading.Thread(target=visit, args=host) for host in hosts.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if troubles:
        raise fleet.Trouble("\n".join(troubles))
    return seen


def draw(running, seen):
    kinds = {name.partition(".")[0]: kind for name, _, kind, _ in running.endpoints()}
    print(f"\n  {'':<20}" + "".join(f"{'round ' + str(number + 1):>28}" for number in range(rounds)))
    print(f"  {'server':<20}" + f"{'accepted':>12}{'refused':>9}{'other':>7}" * rounds)
    for server in seen.servers:
        row = f"  {server + ' ' + kinds[server]:<20}"
        for tally in seen.tally():
            accepted, refused = tally[server, 200], tally[server, 401]
            row += f"{accepted:>12}{refused:>9}{count - accepted - refused:>7}"
        print(row)


def report(running, seen):
    """Prints what happened; True when all is as it should be."""
    draw(running, seen)
    once = sum(seen.accepted(token) == 1 for token in range(count))
    refused = sum(tally[server, 401] for tally in seen.tally() for server in seen.servers)
    replays = count * (rounds * len(seen.servers) - 1)
    print(f"\ndemo: {once} of {count} tokens accepted once, {refused} of {replays} replays refused")
    return once == count and refused == replays


def run(running):
    with steps.Step("start two nginx, an HAProxy, an example server, Redis, and keyd as issuer"):
        running.up(1, fleet.policy(60, 600), nginx=2, haproxy=1, redis=True, tokens=True)
    with steps.Step(f"get {count} tokens from the issuer, blindly"):
        tokens = get_tokens(running)
    with steps.Step("present each at four doors at the same moment, then again"):
        seen = knock_everywhere(running, tokens)
    return report(running, seen)
