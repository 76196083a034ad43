"""What a client that knows the pool saves: CPU of client and servers for a visit to each of
twelve, against a plain client, in alternating slices."""

import statistics
import tempfile
from pathlib import Path

import demo_client
import fleet


class OneName(demo_client.NamedFleet):
    """Twelve servers of one name, told apart by their ports."""

    def names(self, host):
        return [f"one.{demo_client.domain}"]

    def places(self):
        return [(names[0], int(address.rpartition(":")[2]), address)
                for _, address, _, names in self.endpoints()]


def ratios(running, options=()):
    """A pool client's cost against a plain one's, slice by slice."""
    try:
        running.up(demo_client.servers, fleet.policy(60, 600))
        visits = demo_client.Visits(running, options)
        found = []
        for _ in range(demo_client.slices):
            plain, full = visits.cost("plain")
            pooled, once = visits.cost("manifest")
            if (full, once) != (demo_client.servers, 1):
                raise fleet.Trouble(f"{full} and {once} full handshakes, not 12 and 1")
            found.append(pooled / plain)
        return found
    finally:
        running.down()


def measure():
    """name -> value."""
    measured = {}
    with tempfile.TemporaryDirectory(prefix="ticket-bench-") as scratch:
        for name, running, options in (
                ("p256", demo_client.NamedFleet(Path(scratch) / "p256"), []),
                ("rsa2048", demo_client.NamedFleet(Path(scratch) / "rsa", rsa=True), []),
                ("tls12", OneName(Path(scratch) / "one"), ["--tls1.2"])):
            found = ratios(running, options)
            first, _, third = statistics.quantiles(found, n=4)
            name = f"client_pool_cpu_ratio_{name}"
            measured |= {name: statistics.median(found), name + "_q1": first, name + "_q3": third}
    return measured
