"""What tools/fleet adds for one-time tokens: Redis, the issuer, and a door on each server.

Every server's a.test has /door, which opens for a token, once in the whole fleet.
"""

import hashlib
import http.client
import secrets
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path

origin = "a.test"
door = "/door"
issuer_host = "issuer.test"
redis_server = "/usr/bin/redis-server"
spoe = Path(__file__).resolve().parents[2] / "plugins/haproxy/ticket-spoe.conf"
# An answer is waited for much longer than in production, whose limits are docs/tokens.md's:
# many processes share one machine here, and who would count answers wants no 503.
redis_patience = "5s"
patience = 10  # seconds, of the servers


class Tokens:
    """The files of one fleet that have to do with tokens."""

    def __init__(self, folder, port):
        self.dir = folder
        self.port = port
        self.issuer = f"{issuer_host}:{port}"
        self.secret = folder / "client.secret"
        self.redis = None  # the path of its socket

    # -- the authority --------------------------------------------------------

    def redis_command(self):
        """Debian's redis-server with what docs/tokens.md asks of one, on a Unix socket alone."""
        there = self.dir / "redis"
        there.mkdir()
        self.redis = there / "redis.sock"
        (there / "redis.conf").write_text(f"""# of tools/fleet
port 0
unixsocket {self.redis}
unixsocketperm 700
dir {there}
maxmemory 64mb
maxmemory-policy noeviction
appendonly yes
appendfsync always
save ""
""")
        return [redis_server, str(there / "redis.conf")]

    def authority_section(self):
        """[pool.tokens] of keyd.toml: an issuer in TLS that knows one client by a secret."""
        secret = secrets.token_urlsafe(24)
        self.secret.touch(mode=0o600)
        self.secret.write_text(secret + "\n")
        hashes = self.dir / "authority/token-clients"
        hashes.touch(mode=0o600)
        hashes.write_text(f"fleet {hashlib.sha256(secret.encode()).hexdigest()}\n")
        record = f'redis = "{self.redis}"' if self.redis else 'redeemer = "host1"'
        return f"""
[pool.tokens]
listen = "127.0.0.1:{self.port}"
name = "{self.issuer}"
origins = ["{origin}"]
certificate = "{self.dir}/web/{issuer_host}.crt"
key = "{self.dir}/web/{issuer_host}.key"
issue_for = "1h"
redeem_for = "1h"
publish_ahead = "10m"
attest = ["bearer"]
attest_secrets = "{hashes}"
budget = 100000
capacity = 100000
{record}
"""

    # -- a host ---------------------------------------------------------------

    def agent_section(self, pool, there, haproxy):
        """[[tokens]] of agent.toml. HAProxy asks at a socket beside it."""
        lines = [f'pool = "{pool}"', f'http = "{there}/redeem.sock"']
        if self.redis:
            lines += [f'redis = "{self.redis}"', f'redis_timeout = "{redis_patience}"',
                      "redis_durable = true"]
        if haproxy:
            lines.append(f'spop = "{there}/spop.sock"')
        return "\n[[tokens]]\n" + "".join(line + "\n" for line in lines)

    def nginx_location(self, there):
        """A file, since a `return` would answer before the token is looked at."""
        (there / "www").mkdir(exist_ok=True)
        (there / "www/door").write_text("open\n")
        return f"""        location = {door} {{
            root {there}/www;
            default_type text/plain;
            ticket_token on;
            ticket_token_origin {origin};
            ticket_token_timeout {patience}s;
        }}
"""

    def haproxy_door(self, there):
        """Lines of a frontend: the door alone wants a token, since whatever else HAProxy
        answers here is one text. plugins/haproxy/tokens.cfg has it the other way round, as
        it must be before a backend that knows a path by several spellings."""
        production, ours = "timeout processing 500ms", f"timeout processing {patience}s"
        text = spoe.read_text()
        if production not in text:
            raise ValueError(f"{spoe}: no \"{production}\"")
        (there / spoe.name).write_text(text.replace(production, ours))
        return f"""    filter spoe engine ticket config {there}/{spoe.name}
    acl for_tokens path {door}
    http-request set-var(txn.ticket_origin) str({origin}) if for_tokens
    http-request send-spoe-group ticket ticket-token if for_tokens
    http-request return status 401 content-type text/plain string "a token is needed" hdr WWW-Authenticate "%[var(txn.ticket.challenge)]" if for_tokens {{ var(txn.ticket.challenge) -m found }}
    http-request deny deny_status 503 if for_tokens !{{ var(txn.ticket.status) -m str ok }}
"""

    def haproxy_backend(self, there):
        return f"""
backend ticket-agent
    mode tcp
    timeout connect 1s
    timeout server 1m
    option spop-check
    server agent unix@{there}/spop.sock check inter 2s
"""


@dataclass
class Answer:
    status: int
    challenge: bool  # whether it asks for a token


class Door:
    """One server's door, over a connection that is kept; of one thread."""

    def __init__(self, address, ca):
        host, _, port = address.rpartition(":")
        context = ssl.create_default_context(cafile=str(ca))
        self.connection = http.client.HTTPConnection(origin)
        self.connection.sock = context.wrap_socket(
            socket.create_connection((host, int(port)), timeout=10), server_hostname=origin)

    def knock(self, token=None):
        """Presents a token, or none. A request is never sent twice."""
        headers = {"Authorization": f'PrivateToken token="{token}"'} if token else {}
        self.connection.auto_open = False
        self.connection.request("GET", door, headers=headers)
        answer = self.connection.getresponse()
        answer.read()
        asked = answer.getheader("WWW-Authenticate", "").startswith("PrivateToken ")
        return Answer(answer.status, asked)


def ready_redis(path):
    """Whether it answers."""
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(1)
            connection.connect(str(path))
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
    except OSError:
        return False
