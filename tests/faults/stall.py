"""Peers that stop in the middle: prints, as JSON, after how many seconds keyd let go of
each. Arguments: host, port, pool, certificate and key of a member."""

import json
import select
import socket
import ssl
import sys
import threading
import time

host, port, pool, certificate, key = sys.argv[1:]
longest = 100
seconds = {}


def member():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.load_cert_chain(certificate, key)
    plain = socket.socket()
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    plain.connect((host, int(port)))
    return context.wrap_socket(plain)


def closed(peer):
    """Waits until the other side is gone."""
    peer.settimeout(longest)
    try:
        while peer.recv(4096):
            pass
    except ConnectionError:
        pass


def half_a_handshake():
    peer = socket.create_connection((host, int(port)))
    peer.sendall(b"\x16\x03\x01\x02\x00\x01")
    closed(peer)


def says(text):
    def stall():
        peer = member()
        peer.sendall(text)
        closed(peer)
    return stall


def never_reads():
    peer = member()
    peer.settimeout(1)
    try:
        while True:
            peer.sendall(f"GET /v1/pools/{pool}/bundle HTTP/1.1\r\nHost: x\r\n\r\n".encode() * 50)
    except TimeoutError:
        pass
    watch = select.poll()
    watch.register(peer.fileno(), 0)  # hang-ups and errors alone
    watch.poll(longest * 1000)


def measure(name, stall):
    began = time.monotonic()
    try:
        stall()
        seconds[name] = round(time.monotonic() - began, 1)
    except OSError as problem:
        seconds[name] = str(problem)


put = f"PUT /v1/pools/{pool}/members/self HTTP/1.1\r\nHost: x\r\n".encode()
ways = {"half a handshake": half_a_handshake, "no request": says(b""),
        "half a head": says(put[:20]), "half a body": says(put + b"Content-Length: 50\r\n\r\n{"),
        "half a chunk": says(put + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{"),
        "never reads": never_reads}
threads = [threading.Thread(target=measure, args=way) for way in ways.items()]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(json.dumps(seconds))
