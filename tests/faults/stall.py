"""Peers that stop in the middle: prints, as JSON, after how many seconds keyd let go of
each. Arguments: keyd's address, pool, certificate and key of a member, an issuer's
address."""

import json
import select
import socket
import ssl
import sys
import threading
import time

keyd, pool, certificate, key, issuer = sys.argv[1:]
longest = 100
seconds = {}


def connect(address):
    host, port = address.rsplit(":", 1)
    plain = socket.socket()
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    plain.connect((host, int(port)))
    return plain


def client(address):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if address == keyd:
        context.load_cert_chain(certificate, key)
    return context.wrap_socket(connect(address))


def closed(peer):
    """Waits until the other side is gone."""
    peer.settimeout(longest)
    try:
        while peer.recv(4096):
            pass
    except ConnectionError:
        pass


def half_a_handshake(address):
    peer = connect(address)
    peer.sendall(b"\x16\x03\x01\x02\x00\x01")
    closed(peer)


def says(text):
    def stall(address):
        peer = client(address)
        peer.sendall(text)
        closed(peer)
    return stall


def dribbles(text):
    """A byte a second."""
    def stall(address):
        peer = client(address)
        peer.settimeout(1)
        for i in range(longest):
            peer.sendall(text[i:i + 1] or b"x")
            try:
                if not peer.recv(4096):
                    return
            except TimeoutError:
                pass
            except OSError:
                return
    return stall


def never_reads(path):
    def stall(address):
        peer = client(address)
        peer.settimeout(1)
        try:
            while True:
                peer.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode() * 50)
        except TimeoutError:
            pass
        watch = select.poll()
        watch.register(peer.fileno(), 0)  # hang-ups and errors alone
        watch.poll(longest * 1000)
    return stall


def measure(name, address, stall):
    began = time.monotonic()
    try:
        stall(address)
        seconds[name] = round(time.monotonic() - began, 1)
    except OSError as problem:
        seconds[name] = str(problem)


def ways(request, path):
    return {"half a handshake": half_a_handshake, "no request": says(b""),
            "half a head": says(request[:20]),
            "half a body": says(request + b"Content-Length: 50\r\n\r\n{"),
            "half a chunk": says(request + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{"),
            "never reads": never_reads(path)}


put = f"PUT /v1/pools/{pool}/members/self HTTP/1.1\r\nHost: x\r\n".encode()
post = (b"POST /token-request HTTP/1.1\r\nHost: x\r\n"
        b"Content-Type: application/private-token-request\r\n")
threads = [threading.Thread(target=measure, args=(name, keyd, stall))
           for name, stall in ways(put, f"/v1/pools/{pool}/bundle").items()]
at_issuer = {**ways(post, "/.well-known/private-token-issuer-directory"),
             "a byte a second": dribbles(post)}
threads += [threading.Thread(target=measure, args=("issuer: " + name, issuer, stall))
            for name, stall in at_issuer.items()]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(json.dumps(seconds))
