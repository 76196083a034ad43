"""What a hostile network, and a member gone bad, do to keyd's front: for tests and
tools/bench. All at once, for a number of seconds; prints a JSON object of counts."""

import argparse
import asyncio
import json
import logging
import resource
import socket
import ssl
import time
from collections import Counter

counts = Counter()


def client_hello():
    """The bytes of one, as OpenSSL makes it."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        context.wrap_bio(incoming, outgoing, server_hostname="keyd").do_handshake()
    except ssl.SSLWantReadError:
        pass
    return outgoing.read()


def tls(certificate, key):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if certificate:
        context.load_cert_chain(certificate, key)
    return context


class Attack:
    def __init__(self, arguments):
        self.host, _, port = arguments.address.rpartition(":")
        self.port = int(port)
        self.end = time.monotonic() + arguments.seconds
        self.hello = client_hello()
        self.member = tls(arguments.cert, arguments.key)
        self.second = tls(arguments.second_cert or arguments.cert,
                          arguments.second_key or arguments.key)
        self.stranger = tls(arguments.stranger_cert, arguments.stranger_key)
        self.pool = arguments.pool

    def going_on(self):
        return time.monotonic() < self.end

    async def open(self, context=None):
        return await asyncio.wait_for(
            asyncio.open_connection(self.host, self.port, ssl=context), 20)

    async def again_and_again(self, name, once):
        """One connection after another; what breaks is counted, and begun anew."""
        while self.going_on():
            try:
                await once()
                counts[name] += 1
            except (OSError, asyncio.TimeoutError, asyncio.IncompleteReadError, EOFError):
                counts[name + " closed by keyd"] += 1
            await asyncio.sleep(0.05)

    async def byte_by_byte(self, context, text):
        reader, writer = await self.open(context)
        try:
            for byte in text:
                writer.write(bytes([byte]))
                await writer.drain()
                if not self.going_on():
                    return
                try:
                    if await asyncio.wait_for(reader.read(1), 1) == b"":
                        raise EOFError
                except asyncio.TimeoutError:
                    pass
        finally:
            writer.close()

    async def dribble(self):
        await self.byte_by_byte(None, self.hello)

    async def dribble_as_member(self):
        await self.byte_by_byte(self.member, b"GET /v1/pools/" + self.pool.encode() + b"/" * 300)

    async def half_open(self):
        reader, writer = await self.open()
        try:
            writer.write(self.hello)
            while self.going_on():
                if await asyncio.wait_for(reader.read(4096), 30) == b"":
                    raise EOFError
        finally:
            writer.close()

    async def never_read(self):
        plain = socket.socket()
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        plain.setblocking(False)
        await asyncio.get_running_loop().sock_connect(plain, (self.host, self.port))
        _, writer = await asyncio.open_connection(sock=plain, ssl=self.member, server_hostname="x")
        try:
            writer.transport.pause_reading()
            request = f"GET /v1/pools/{self.pool}/bundle HTTP/1.1\r\nHost: x\r\n\r\n".encode()
            while self.going_on():
                writer.write(request * 100)
                await asyncio.wait_for(writer.drain(), 5)
                await asyncio.sleep(0.1)
        finally:
            writer.transport.abort()

    async def hold_poll(self):
        reader, writer = await self.open(self.member)
        try:
            writer.write(f"GET /v1/pools/{self.pool}/bundle?after=99999999999999&wait=300 "
                         "HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            while self.going_on():
                if await asyncio.wait_for(reader.read(4096), 30) == b"":
                    raise EOFError
        finally:
            writer.close()

    async def nonsense(self):
        """Requests that must be refused; the answers' numbers are counted."""
        other = "mail" if self.pool != "mail" else "web"
        heads = [b"GET / HTTP/1.1\r\nX: " + b"a" * 20000 + b"\r\n\r\n",
                 b"PUT /v1/pools/" + self.pool.encode() + b"/members/self HTTP/1.1\r\nHost: x\r\n"
                 b"Content-Length: 10000000\r\n\r\n",
                 b"PUT /v1/pools/" + self.pool.encode() + b"/members/self HTTP/1.1\r\nHost: x\r\n"
                 b"Content-Length: 2\r\n\r\n{}",
                 b"PUT /v1/pools/" + self.pool.encode() + b"/members/self HTTP/1.1\r\nHost: x\r\n"
                 b"Transfer-Encoding: chunked\r\n\r\n" + b"ffff\r\n" + b"a" * 65535 + b"\r\n" * 3,
                 b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\x00\xff\xfe" * 50 + b"\r\n\r\n",
                 b"BREW /coffee HTTP/1.1\r\nHost: x\r\n\r\n",
                 b"GET /v1/pools/../../etc HTTP/1.1\r\nHost: x\r\n\r\n",
                 f"GET /v1/pools/{other}/bundle HTTP/1.1\r\nHost: x\r\n\r\n".encode(),
                 f"GET /v1/pools/{self.pool}/wraps/host1 HTTP/1.1\r\nHost: x\r\n\r\n".encode(),
                 f"GET /v1/pools/{self.pool}/bundle?after=-1 HTTP/1.1\r\nHost: x\r\n\r\n".encode()]
        for head in heads:
            reader, writer = await self.open(self.second)
            try:
                writer.write(head)
                line = await asyncio.wait_for(reader.readline(), 10)
                words = line.split()
                counts["answered " + (words[1].decode() if len(words) > 1 else "nothing")] += 1
            except OSError:
                counts["answered nothing"] += 1
            finally:
                writer.close()

    async def endless_chunk(self):
        """A chunk whose head never ends."""
        reader, writer = await self.open(self.second)
        try:
            writer.write(b"PUT /v1/pools/" + self.pool.encode() + b"/members/self HTTP/1.1\r\n"
                         b"Host: x\r\nTransfer-Encoding: chunked\r\n\r\n1;x=")
            while self.going_on():
                writer.write(b"a" * 65536)
                await asyncio.wait_for(writer.drain(), 5)
                await asyncio.sleep(0)
                if reader.at_eof():
                    raise EOFError
        finally:
            writer.transport.abort()

    async def show_wrong_certificate(self):
        reader, writer = await self.open(self.stranger)
        try:
            writer.write(b"GET / HTTP/1.1\r\n\r\n")
            if await asyncio.wait_for(reader.read(1), 10) == b"":
                raise EOFError
        finally:
            writer.close()

    async def run(self, dribblers):
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        ways = [("dribble", self.dribble, dribblers), ("half-open TLS", self.half_open, 100),
                ("dribble as a member", self.dribble_as_member, 30),
                ("never read", self.never_read, 10), ("hold a poll", self.hold_poll, 200),
                ("nonsense", self.nonsense, 2), ("endless chunk", self.endless_chunk, 2),
                ("wrong certificate", self.show_wrong_certificate, 2)]
        await self.nonsense()  # once in peace, so that all of it is heard
        await asyncio.gather(*(self.again_and_again(name, once)
                               for name, once, number in ways for _ in range(number)))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--address", required=True)
    parser.add_argument("--pool", required=True)
    parser.add_argument("--cert", required=True, help="of the member gone bad")
    parser.add_argument("--key", required=True)
    parser.add_argument("--second-cert", help="of another such member, who sends nonsense")
    parser.add_argument("--second-key")
    parser.add_argument("--stranger-cert", help="of nobody's CA; default: none is shown")
    parser.add_argument("--stranger-key")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--dribblers", type=int, default=2000)
    arguments = parser.parse_args()
    logging.getLogger("asyncio").setLevel(logging.ERROR)  # keyd hangs up: that is the point
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    attack = Attack(arguments)
    asyncio.run(attack.run(arguments.dribblers))
    print(json.dumps(counts, indent=1))


if __name__ == "__main__":
    main()
