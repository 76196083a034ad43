#!/usr/bin/python3
"""An HTTPS server that answers as keyd would, but always with the same files.

For tests of what agents refuse. Prints each request line that reaches it.
"""

import argparse
import http.server
import ssl
import time


class Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        print(self.requestline, flush=True)
        name = self.server.bundle if "/bundle" in self.path else self.server.wrap
        with open(name, "rb") as file:
            body = file.read()
        time.sleep(0.1)
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    for option in ("address", "certificate", "key", "ca", "bundle", "wrap"):
        parser.add_argument(f"--{option}", required=True)
    chosen = parser.parse_args()
    host, _, port = chosen.address.rpartition(":")

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_cert_chain(chosen.certificate, chosen.key)
    context.load_verify_locations(chosen.ca)
    context.verify_mode = ssl.CERT_OPTIONAL

    server = http.server.ThreadingHTTPServer((host, int(port)), Answer)
    server.bundle, server.wrap = chosen.bundle, chosen.wrap
    # the handshake in the connection's thread: one that fails must not end the server
    server.socket = context.wrap_socket(server.socket, server_side=True,
                                        do_handshake_on_connect=False)
    print("listening", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
