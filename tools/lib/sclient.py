"""`openssl s_client`, which nobody here wrote, as a client of the pool."""

import base64
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

protocols = {"TLS 1.2": "-tls1_2", "TLS 1.3": "-tls1_3"}


@dataclass
class Handshake:
    """What one s_client run saw."""

    ok: bool          # the handshake and one HTTP request worked
    reused: bool      # the server took the session that was offered
    key_name: str     # of the last ticket received, in hex; "" when there was none
    output: str       # of s_client, for when something is wrong

    def why(self):
        """The lines of the output that say what went wrong."""
        telling = re.compile("error|alert|errno|verify|no end after|New,|Reused,", re.IGNORECASE)
        return "\n".join("      " + line for line in self.output.splitlines()
                         if telling.search(line))


def connect(address, name, protocol, ca, offer=None, keep=None, client=None, timeout=10):
    """One connection with one HTTP request.

    offer and keep are session files (-sess_in, -sess_out); client is a pair of
    certificate and key.
    """
    argv = ["openssl", "s_client", "-connect", address, "-servername", name, protocols[protocol],
            "-CAfile", str(ca), "-verify_return_error", "-verify_hostname", name, "-ign_eof"]
    if offer:
        argv += ["-sess_in", str(offer)]
    if keep:
        Path(keep).unlink(missing_ok=True)
        argv += ["-sess_out", str(keep)]
    if client:
        argv += ["-cert", str(client[0]), "-key", str(client[1])]
    request = f"GET / HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n"
    try:
        done = subprocess.run(argv, input=request.encode(), stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=timeout)
        output = done.stdout.decode(errors="replace")
    except subprocess.TimeoutExpired as late:
        output = (late.output or b"").decode(errors="replace") + f"\nno end after {timeout} s"
    # not at the head of a line: s_client's own output is buffered, the response is not
    return Handshake(ok="HTTP/1.1 200 " in output,
                     reused="Reused, TLSv1." in output,
                     key_name=key_name(keep) if keep else "",
                     output=output)


def key_name(session_file):
    """The first 16 bytes of the ticket in a session file: which key sealed it."""
    return ticket(session_file)[:16].hex()


def ticket(session_file):
    """The ticket in a session file, b"" when it has none.

    SSL_SESSION in ASN.1: a SEQUENCE in which the ticket is [10] OCTET STRING.
    """
    path = Path(session_file)
    if not path.exists():
        return b""
    pem = path.read_text().splitlines()
    der = base64.b64decode("".join(line for line in pem if line and not line.startswith("-----")))
    _, body, _ = element(der)
    while body:
        tag, content, body = element(body)
        if tag == 0xAA:  # [10], constructed
            return element(content)[1]
    return b""


def element(der):
    """(tag, content, rest) of the first DER element."""
    size, start = der[1], 2
    if size & 0x80:
        start += size & 0x7F
        size = int.from_bytes(der[2:start], "big")
    return der[0], der[start:start + size], der[start + size:]
