"""A pool of servers on this machine: CA, keyd, and one agent and one TLS server per host.

    tools/fleet up --dir DIR [--servers N] [--nginx N] [--haproxy N] [--dns]
                             [--tokens] [--redis] [--rotate-every 5s] [--lifetime 60s]
    tools/fleet status --dir DIR
    tools/fleet kill keyd --dir DIR       SIGKILL; any of keyd, agent1, server1, ...
    tools/fleet start keyd --dir DIR
    tools/fleet down --dir DIR

`up` writes DIR/endpoints once all servers share a key, and stays until SIGTERM.
A line each: NAME 127.0.0.1:PORT KIND VHOST,VHOST,... Every server has a.test,
b.test (another certificate and context) and secure.test (demands a client
certificate), as virtual hosts of one port; HAProxy has a port, and so a line, for each.
With --dns, nsd answers for the names at the ADDRESS@PORT in DIR/dns, also which pool
they belong to. With --tokens, keyd issues one-time tokens and each server's a.test has a
/door that opens for one: once in all the fleet with --redis, a redis-server of the
fleet's own; without it at host1 alone. DIR/tokens tells how `ticketctl token get` gets
there. DIR/ca.pem verifies them; DIR/client.crt and client.key are for secure.test. Logs are in DIR/log, process ids in DIR/pids.
"""

import argparse
import contextlib
import fcntl
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import build
import fleet_tokens
import sclient

pool = "fleet"
vhosts = ["a.test", "b.test", "secure.test"]


class Trouble(Exception):
    """Said to the user as it is."""


class Fleet:
    """The fleet of one folder; several processes may hold one of these at once."""

    def __init__(self, folder):
        self.dir = Path(folder).resolve()
        self.binaries = build.folder()
        self.nginx_workers = 2
        self.dns = None  # where nsd answers
        self.tokens = None  # fleet_tokens.Tokens, with --tokens
        self.session_id_context = "libticket"

    # -- what callers ask for ------------------------------------------------

    def up(self, servers, policy, nginx=0, haproxy=0, dns=False, redis=False, tokens=False):
        """Makes and starts everything; returns once all servers share a sealing key.

        Hosts are numbered through: the example servers first, then nginx, then HAProxy."""
        if (self.dir / "fleet.json").exists():
            raise Trouble(f"{self.dir} holds a fleet already: tools/fleet down --dir {self.dir}")
        needs = ["ticketctl/ticketctl", "keyd/keyd", "examples/ticket-example-server"]
        for needed in needs + ["plugins/nginx/ngx_http_ticket_module.so"] * bool(nginx):
            if not (self.binaries / needed).exists():
                raise Trouble(f"{self.binaries / needed} is missing: run tools/build")
        self.clear()
        if redis and not tokens:
            raise Trouble("--redis is where --tokens records what was spent: say both")
        hosts = range(1, servers + nginx + haproxy + 1)
        kinds = dict(zip(hosts, ["custom"] * servers + ["nginx"] * nginx + ["haproxy"] * haproxy))
        # what HAProxy 2.6 sets, and the library otherwise
        self.session_id_context = "haproxy" if haproxy else "libticket"
        address = f"127.0.0.1:{unused_port()}"
        self.tokens = fleet_tokens.Tokens(self.dir, unused_port()) if tokens else None
        self.make_certificates()
        extra = {"redis": self.tokens.redis_command()} if redis else {}
        self.make_authority(address, policy, sorted({name for host in hosts
                                                     for name in self.names(host)}))
        processes = {**extra, "keyd": [str(self.binaries / "keyd/keyd"), "authority", "--config",
                              str(self.dir / "authority/keyd.toml")]}
        for host in hosts:
            processes[f"agent{host}"] = self.make_agent(host, address, kinds[host])
        for host in hosts:
            make = {"custom": self.server_command, "nginx": self.make_nginx,
                    "haproxy": self.make_haproxy}[kinds[host]]
            processes[f"server{host}"] = make(host)
        if dns:
            processes["dns"] = self.dns_command()
        self.write_state({name: {"argv": argv, "pid": 0, "began": 0}
                          for name, argv in processes.items()})

        if redis:
            self.start("redis")
            self.wait(lambda: fleet_tokens.ready_redis(self.tokens.redis), 10, "Redis", "redis")
        self.start("keyd")
        self.wait(lambda: accepts(address), 20, "keyd to listen", "keyd")
        if dns:
            self.start_dns()
        for host in hosts:
            self.start(f"agent{host}")
        for host in hosts:
            needed = [self.ring(host)]
            if kinds[host] == "haproxy":
                needed = [self.dir / f"hosts/host{host}/{name}.keys" for name in vhosts]
            self.wait(lambda: all(path.exists() for path in needed), 20, "the first keys",
                      f"agent{host}")
            self.start(f"server{host}")
        for host in hosts:
            self.wait(lambda: self.port_file(host).exists() and accepts(self.address(host)), 20,
                      "the server to listen", f"server{host}")
        self.wait(lambda: self.share_a_key(hosts), 70, "all servers to seal with one key", "keyd")
        if tokens:
            doors = hosts if redis else [1]
            self.wait(lambda: all(self.asks_for_token(host) for host in doors), 90,
                      "tokens to be asked for at each door", "keyd")
            write_whole(self.dir / "tokens", " ".join(self.token_options()) + "\n")
        write_whole(self.dir / "endpoints",
                    "".join(line for host in hosts
                            for line in self.endpoint_lines(host, kinds[host])))

    def clear(self):
        """An empty folder; only one that an earlier fleet made is emptied."""
        self.dir.mkdir(parents=True, exist_ok=True)
        if any(self.dir.iterdir()) and not (self.dir / ".lock").exists():
            raise Trouble(f"{self.dir} is neither empty nor an earlier fleet's")
        (self.dir / ".lock").touch()
        for name in ("authority", "hosts", "web", "log", "nsd", "redis"):
            shutil.rmtree(self.dir / name, ignore_errors=True)
        (self.dir / "log").mkdir()

    def start(self, name):
        """Starts one process; its output goes to DIR/log/NAME.log."""
        with self.state() as processes:
            process = known(processes, name)
            if alive(process):
                raise Trouble(f"{name} is running")
            if name.startswith("server") and "--port-file" in process["argv"]:
                self.port_file(name[len("server"):]).unlink(missing_ok=True)
            with open(self.dir / f"log/{name}.log", "ab") as log:
                # Its own session: a Ctrl-C is for the fleet, which then stops it.
                child = subprocess.Popen(process["argv"], cwd=self.dir, stdin=subprocess.DEVNULL,
                                         stdout=log, stderr=log, start_new_session=True)
            process.update(pid=child.pid, began=began(child.pid))

    def kill(self, name, how=signal.SIGKILL):
        """Sends a signal to one process and waits until it is gone (SIGKILL, SIGTERM)."""
        with self.state() as processes:
            process = dict(known(processes, name))
        if not alive(process):
            raise Trouble(f"{name} is not running")
        # keyd's front ends with it, but has the port a moment longer
        ends = [process] + (children(process["pid"]) if name == "keyd" else [])
        os.kill(process["pid"], how)
        if how in (signal.SIGKILL, signal.SIGTERM):
            self.wait(lambda: not any(alive(one) for one in ends), 10, "the end", name)

    def down(self):
        """Stops all processes of the fleet, servers first, and forgets it."""
        if not (self.dir / "fleet.json").exists():
            return
        with self.state() as processes:
            running = [process for process in reversed(processes.values()) if alive(process)]
            for process in running:
                os.kill(process["pid"], signal.SIGCONT)
                os.kill(process["pid"], signal.SIGTERM)
            patience = time.monotonic() + 5
            while any(alive(process) for process in running) and time.monotonic() < patience:
                time.sleep(0.02)
            for process in running:
                if alive(process):
                    os.kill(process["pid"], signal.SIGKILL)
        for name in ("endpoints", "pids", "dns", "tokens", "fleet.json"):
            (self.dir / name).unlink(missing_ok=True)

    def endpoints(self):
        """[(name, address, kind, [vhost])] as DIR/endpoints has them."""
        lines = (self.dir / "endpoints").read_text().splitlines()
        return [(name, address, kind, names.split(","))
                for name, address, kind, names in (line.split() for line in lines)]

    def alive(self):
        """name -> whether it runs."""
        with self.state() as processes:
            return {name: alive(process) for name, process in processes.items()}

    def status(self):
        """keyd's own view (ticketctl status --json), None when it does not answer."""
        told = self.ticketctl("status", "--json")
        return json.loads(told) if told is not None else None

    def ticketctl(self, *arguments):
        """What it prints; None when keyd does not answer, or says no."""
        done = subprocess.run([str(self.binaries / "ticketctl/ticketctl"), *arguments,
                               "--socket", str(self.dir / "authority/keyd.sock")],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, text=True)
        return done.stdout if done.returncode == 0 else None

    # -- what it is made of --------------------------------------------------

    def names(self, host):
        """The virtual hosts of a server."""
        return vhosts

    def make_certificates(self):
        names = vhosts + [fleet_tokens.issuer_host] * bool(self.tokens)
        make_web_certificates(self.dir, {name: [name] for name in names})

    def make_authority(self, address, policy, names):
        """ticketctl init, as an operator would, but with the short times of a fleet."""
        times = [word for key, value in policy.items()
                 for word in ("--" + key.replace("_", "-"), value)]
        command([str(self.binaries / "ticketctl/ticketctl"), "init", "--pool", pool,
                 "--dir", str(self.dir / "authority"), "--listen", address, *times])
        with open(self.dir / "authority/keyd.toml", "a", encoding="utf-8") as config:
            config.write(f"\n# [[pool]], of tools/fleet\nclient_names = {json.dumps(names)}\n")
            if self.tokens:
                config.write(self.tokens.authority_section())

    def dns_command(self):
        """Debian's nsd, authoritative for test., without rights of its own."""
        there = self.dir / "nsd"
        there.mkdir()
        port = unused_port()
        self.dns = f"127.0.0.1@{port}"
        (there / "nsd.conf").write_text(f"""# of tools/fleet
server:
  ip-address: 127.0.0.1
  port: {port}
  server-count: 1
  username: ""
  chroot: ""
  database: ""
  zonesdir: "{there}"
  zonelistfile: "{there}/zones"
  pidfile: "{there}/pid"
  xfrdfile: "{there}/xfrd"
  xfrdir: "{there}"
  cookie-secret-file: "{there}/cookies"
remote-control:
  control-enable: no
zone:
  name: "test"
  zonefile: "test.zone"
""")
        return ["/usr/sbin/nsd", "-d", "-c", str(there / "nsd.conf")]

    def start_dns(self):
        """With the records that ticketctl tells an operator to publish."""
        records = self.ticketctl("pool", "dns", pool, "--zone", "--ttl", "60")
        if records is None:
            raise Trouble(f"ticketctl pool dns fails; keyd says:\n{self.last_words('keyd')}")
        hosts = re.findall(r"^_tls-pool\.(\S+)\.", records, re.MULTILINE)
        zone = "test. 60 IN SOA ns.test. hostmaster.test. 1 3600 600 86400 2\ntest. 60 IN NS ns.test.\n"
        zone += "".join(f"{name}. 60 IN A 127.0.0.1\n" for name in ["ns.test", *hosts])
        (self.dir / "nsd/test.zone").write_text(zone + records)
        self.start("dns")
        self.wait(lambda: accepts(self.dns.replace("@", ":")), 10, "nsd to listen", "dns")
        write_whole(self.dir / "dns", self.dns + "\n")

    def token_options(self, host=1):
        """What `ticketctl token get` needs to get a token of the fleet's, through that host."""
        tokens = self.tokens
        return ["--url", f"https://{fleet_tokens.origin}{fleet_tokens.door}",
                "--issuer", tokens.issuer, "--secret-file", str(tokens.secret),
                "--ca", str(self.dir / "ca.pem"),
                "--connect-to", f"{fleet_tokens.origin}:443:{self.address(host)}",
                "--connect-to", f"{tokens.issuer}:127.0.0.1:{tokens.port}"]

    def asks_for_token(self, host):
        answer = fleet_tokens.Door(self.address(host), self.dir / "ca.pem").knock()
        return answer.status == 401 and answer.challenge

    def make_agent(self, host, address, kind="custom"):
        """ticketctl member add, then the folder goes to the host."""
        command([str(self.binaries / "ticketctl/ticketctl"), "member", "add", f"host{host}",
                 "--pool", pool, "--dir", str(self.dir / "authority"), "--server", address,
                 "--ring", str(self.ring(host))])
        there = self.dir / f"hosts/host{host}"
        shutil.copytree(self.dir / f"authority/members/host{host}", there)
        if self.tokens:
            with open(there / "agent.toml", "a", encoding="utf-8") as config:
                config.write(self.tokens.agent_section(pool, there, kind == "haproxy"))
        return [str(self.binaries / "keyd/keyd"), "agent", "--config", str(there / "agent.toml")]

    def server_command(self, host):
        # Servers choose their SSL_CTX in different callbacks, and share all the same.
        select = "client-hello" if host % 2 else "servername"
        argv = [str(self.binaries / "examples/ticket-example-server"), "--listen", "127.0.0.1:0",
                "--port-file", str(self.port_file(host)), "--ring", str(self.ring(host)),
                "--select", select, "--session-id-context", self.session_id_context]
        for name in self.names(host):
            certificate, key = self.dir / f"web/{name}.crt", self.dir / f"web/{name}.key"
            client_ca = f",{self.dir / 'ca.pem'}" if name == "secure.test" else ""
            context = name.removesuffix(".test")
            argv += ["--host", f"{name}={certificate},{key},{context}{client_ca}"]
        if self.tokens:
            argv += ["--door", fleet_tokens.door, "--door-wait", str(1000 * fleet_tokens.patience)]
        return argv

    def make_nginx(self, host):
        """Debian's nginx with the module, two workers; the port is known beforehand."""
        there = self.dir / f"hosts/host{host}"
        (there / "temp").mkdir()
        port = unused_port()
        (there / "nginx.conf").write_text(self.nginx_config(there, port, self.ring(host)))
        write_whole(self.port_file(host), f"127.0.0.1:{port}\n")
        return ["/usr/sbin/nginx", "-p", str(there), "-c", str(there / "nginx.conf"),
                "-e", "stderr", "-g", "daemon off;"]

    def make_haproxy(self, host):
        """Debian's HAProxy: a bind, with a key file of its own, for each context."""
        there = self.dir / f"hosts/host{host}"
        ports = [unused_port() for _ in vhosts]
        frontends = sections = ""
        for name, port in zip(vhosts, ports):
            certificate = self.dir / f"web/{name}.pem"
            if not certificate.exists():
                certificate.write_text((self.dir / f"web/{name}.crt").read_text()
                                       + (self.dir / f"web/{name}.key").read_text())
            verify = f" ca-file {self.dir}/ca.pem verify required" if name == "secure.test" else ""
            frontends += f"""
frontend {name}
    bind 127.0.0.1:{port} ssl crt {certificate}{verify} tls-ticket-keys {there}/{name}.keys
{self.tokens.haproxy_door(there) if self.tokens and name == fleet_tokens.origin else ""}\
    http-request return status 200 content-type text/plain string "{name}\\n"
"""
            sections += f"""
[[haproxy]]
pool = "{pool}"
context = "{name.removesuffix(".test")}"
file = "{there}/{name}.keys"
sockets = ["{there}/admin.sock"]
"""
        backend = self.tokens.haproxy_backend(there) if self.tokens else ""
        (there / "haproxy.cfg").write_text(f"""# of tools/fleet
global
    stats socket {there}/admin.sock mode 600 level admin
    tune.ssl.lifetime 3600
    tune.ssl.cachesize 0
    ssl-default-bind-options ssl-min-ver TLSv1.2
defaults
    mode http
    timeout connect 5s
    timeout client 30s
    timeout server 30s
{frontends}{backend}""")
        with open(there / "agent.toml", "a", encoding="utf-8") as config:
            config.write(sections)
        write_whole(self.port_file(host), "".join(f"127.0.0.1:{port}\n" for port in ports))
        return ["/usr/sbin/haproxy", "-W", "-db", "-f", str(there / "haproxy.cfg")]

    def endpoint_lines(self, host, kind):
        addresses = self.port_file(host).read_text().split()
        if kind != "haproxy":
            return [f"server{host} {self.address(host)} {kind} {','.join(self.names(host))}\n"]
        return [f"server{host}.{name.removesuffix('.test')} {address} {kind} {name}\n"
                for name, address in zip(vhosts, addresses)]

    def nginx_config(self, there, port, ring):
        folders = "".join(f"    {kind}_temp_path {there}/temp/{kind};\n"
                          for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        servers = ""
        for name in vhosts:
            verify = (f"        ssl_client_certificate {self.dir}/ca.pem;\n"
                      "        ssl_verify_client on;\n") if name == "secure.test" else ""
            servers += f"""
    server {{
        listen 127.0.0.1:{port} ssl http2;
        server_name {name};
        ssl_certificate {self.dir}/web/{name}.crt;
        ssl_certificate_key {self.dir}/web/{name}.key;
{verify}        ticket_context {name.removesuffix(".test")};
        location / {{
            return 200 "$ssl_server_name $ssl_protocol $ticket_status epoch $ticket_epoch\\n";
        }}
        location /trace {{
            ticket_trace on;
        }}
{self.tokens.nginx_location(there) if self.tokens and name == fleet_tokens.origin else ""}    }}
"""
        return f"""# of tools/fleet
load_module {self.binaries}/plugins/nginx/ngx_http_ticket_module.so;
{"user root;" if os.geteuid() == 0 else ""}
worker_processes {self.nginx_workers};
pid {there}/nginx.pid;
error_log stderr notice;
events {{ }}
http {{
    access_log off;
{folders}    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_early_data on;
    ticket_ring {ring};
    ticket_early_data once;
    ticket_session_id_context {self.session_id_context};
{servers}}}
"""

    def ring(self, host):
        return self.dir / f"hosts/host{host}/{pool}.ring"

    def port_file(self, host):
        return self.dir / f"hosts/host{host}/port"

    def address(self, host):
        """Of its first virtual host, a.test."""
        return f"127.0.0.1:{self.port_file(host).read_text().split()[0].rpartition(':')[2]}"

    def share_a_key(self, hosts):
        """Whether all servers seal the tickets of their first names under one key."""
        with tempfile.TemporaryDirectory() as scratch:
            names = {sclient.connect(self.address(host), self.names(host)[0], "TLS 1.3",
                                     self.dir / "ca.pem",
                                     keep=Path(scratch) / "session").key_name for host in hosts}
        return len(names) == 1 and "" not in names

    def wait(self, condition, seconds, what, name):
        patience = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > patience:
                raise Trouble(f"waited {seconds} s for {what}; {name} says:\n{self.last_words(name)}")
            time.sleep(0.02)

    def last_words(self, name):
        log = self.dir / f"log/{name}.log"
        return "\n".join(log.read_text(errors="replace").splitlines()[-15:]) if log.exists() else ""

    @contextlib.contextmanager
    def state(self):
        """The processes (name -> argv, pid, began), locked; changes are written back."""
        if not self.dir.is_dir():
            raise Trouble(f"there is no folder {self.dir}")
        with open(self.dir / ".lock", "a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            try:
                processes = json.loads((self.dir / "fleet.json").read_text())
            except FileNotFoundError:
                raise Trouble(f"there is no fleet in {self.dir}") from None
            before = json.dumps(processes)
            yield processes
            if json.dumps(processes) != before:
                self.write_state(processes)

    def write_state(self, processes):
        write_whole(self.dir / "fleet.json", json.dumps(processes, indent=1))
        write_whole(self.dir / "pids", "".join(f"{name} {process['pid']}\n"
                                               for name, process in processes.items()
                                               if process["pid"]))


# -- processes ---------------------------------------------------------------

def known(processes, name):
    if name not in processes:
        raise Trouble(f"no process {name}; there are {', '.join(processes)}")
    return processes[name]


def began(pid):
    """When a process started, in clock ticks since boot; 0 when there is none.

    With it a pid that now belongs to somebody else is not mistaken for ours.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return 0 if fields[0] in "ZX" else int(fields[19])


def alive(process):
    return bool(process["pid"]) and began(process["pid"]) == process["began"] != 0


def children(pid):
    pids = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [{"pid": int(child), "began": began(int(child))} for child in pids]


def command(argv):
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        raise Trouble(f"{' '.join(argv)}: {done.returncode}\n{done.stdout}")


port_locks = []


def unused_port():
    """Below the ports that outgoing connections get: while keyd is dead, an agent's
    attempts would sooner or later take keyd's port, or connect to themselves.

    Nobody gets it again while this process lives: tests/support/process.cpp locks the same file."""
    folder = Path(tempfile.gettempdir()) / f"ticket-ports-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    while True:
        port = random.randrange(20000, 32000)
        lock = open(folder / str(port), "a")  # closed at exec and at our end
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            continue
        with socket.socket() as attempt:
            try:
                attempt.bind(("127.0.0.1", port))
                port_locks.append(lock)
                return port
            except OSError:
                lock.close()


def accepts(address):
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=1).close()
        return True
    except OSError:
        return False


# -- files -------------------------------------------------------------------

def write_whole(path, text):
    """Readers see the old file or the new one."""
    path.with_suffix(".new").write_text(text)
    path.with_suffix(".new").rename(path)


def make_web_certificates(folder, names, rsa=False):
    """The servers' own CA, which has nothing to do with the pool's.

    names: file name -> the host names that its certificate covers."""
    web = folder / "web"
    web.mkdir()
    ec = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    request = ["openssl", "req", *(["-newkey", "rsa:2048"] if rsa else ec), "-nodes"]
    command([*request, "-x509", "-days", "30", "-subj", "/CN=fleet web CA",
             "-keyout", str(web / "ca.key"), "-out", str(folder / "ca.pem")])

    def sign(name, key, certificate, extensions):
        (web / "extensions").write_text(extensions)
        command([*request, "-subj", f"/CN={name}", "-keyout", str(key),
                 "-out", str(web / "request")])
        command(["openssl", "x509", "-req", "-in", str(web / "request"), "-days", "30",
                 "-CA", str(folder / "ca.pem"), "-CAkey", str(web / "ca.key"),
                 "-extfile", str(web / "extensions"), "-out", str(certificate)])

    for name, covered in names.items():
        covered = ",".join(f"DNS:{each}" for each in covered)
        sign(name, web / f"{name}.key", web / f"{name}.crt",
             f"subjectAltName={covered}\nextendedKeyUsage=serverAuth\n")
    sign("fleet client", folder / "client.key", folder / "client.crt",
         "extendedKeyUsage=clientAuth\n")


def seconds(text):
    match = re.fullmatch(r"(\d+)([smhd])", text)
    if not match or int(match[1]) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no duration; say 5s, 2m, 1h or 1d")
    return int(match[1]) * {"s": 1, "m": 60, "h": 3600, "d": 86400}[match[2]]


def count(text):
    if not re.fullmatch(r"[1-9]\d?", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to 99")
    return int(text)


def count_or_none(text):
    return 0 if text == "0" else count(text)


def policy(rotate_every, lifetime, publish_ahead=None, stretch=None, lineage=None):
    """A pool's policy in keyd's words, with defaults that suit short rotations."""
    most = 61 * rotate_every - lifetime  # keyd holds 64 epochs
    if most < rotate_every:
        raise Trouble(f"--lifetime {lifetime}s is too long for --rotate-every {rotate_every}s: "
                      f"at most {60 * rotate_every}s")
    chosen = {"rotate_every": rotate_every,
              "lifetime": lifetime,
              "publish_ahead": publish_ahead or min(5 * rotate_every, most),
              "stretch": stretch or lifetime,
              "lineage": lineage or max(600, 10 * lifetime)}
    return {key: f"{value}s" for key, value in chosen.items()}


# -- the command line --------------------------------------------------------

def up(fleet, arguments):
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(0))
    times = policy(arguments.rotate_every, arguments.lifetime, arguments.publish_ahead,
                   arguments.stretch, arguments.lineage)
    print(f"fleet: starting {arguments.servers + arguments.nginx + arguments.haproxy} servers"
          f" in {fleet.dir}", flush=True)
    try:
        fleet.up(arguments.servers, times, arguments.nginx, arguments.haproxy, arguments.dns,
                 arguments.redis, arguments.tokens)
        for name, address, kind, names in fleet.endpoints():
            print(f"fleet: {name} {address} {kind} {','.join(names)}", flush=True)
        if arguments.dns:
            print(f"fleet: dns {fleet.dns}", flush=True)
        if arguments.tokens:
            print(f"fleet: ticketctl token get {' '.join(fleet.token_options())}", flush=True)
        print(f"fleet: up; stop it with Ctrl-C or: tools/fleet down --dir {fleet.dir}", flush=True)
        while (fleet.dir / "fleet.json").exists():  # `fleet down` takes it away
            time.sleep(0.1)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(-1, os.WNOHANG)
    finally:
        fleet.down()


def show_status(fleet, _):
    for name, lives in fleet.alive().items():
        print(f"{name:<10} {'runs' if lives else 'does not run'}")
    status = fleet.status()
    for seen in status["pools"] if status else []:
        sealing = [epoch["number"] for epoch in seen["epochs"] if epoch["state"] == "sealing"]
        print(f"pool {seen['name']}: generation {seen['generation']}, "
              f"{len(seen['epochs'])} epochs, sealing {sealing}")


def take_down(fleet, _):
    """`up` notices that the fleet is gone and ends too."""
    fleet.down()


def main():
    parser = argparse.ArgumentParser(prog="tools/fleet", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name, run, text):
        command = commands.add_parser(name, help=text)
        command.add_argument("--dir", required=True, help="the folder of the fleet")
        command.set_defaults(run=run)
        return command

    start = add("up", up, "start a fleet and stay until SIGTERM")
    start.add_argument("--servers", type=count_or_none, default=3,
                       help="how many of examples/ (default 3)")
    start.add_argument("--nginx", type=count_or_none, default=0,
                       help="how many of nginx with the module (default 0)")
    start.add_argument("--haproxy", type=count_or_none, default=0,
                       help="how many of HAProxy, fed by their agents (default 0)")
    start.add_argument("--dns", action="store_true",
                       help="nsd for the names, and for which pool they belong to")
    start.add_argument("--tokens", action="store_true",
                       help="keyd issues one-time tokens; a.test/door opens for one")
    start.add_argument("--redis", action="store_true",
                       help="a redis-server that records for all hosts what was spent")
    for option, default, text in (
            ("--rotate-every", 5, "an epoch seals this long (default 5s)"),
            ("--lifetime", 60, "of a ticket (default 60s)"),
            ("--publish-ahead", None, "epochs are made this long ahead (default 5 rotations)"),
            ("--stretch", None, "how much longer the last epoch may seal (default lifetime)"),
            ("--lineage", None, "of a chain of resumptions (default 10m or more)")):
        start.add_argument(option, type=seconds, default=default, help=text, metavar="TIME")
    add("down", take_down, "stop it")
    add("status", show_status, "what runs, and keyd's epochs")
    add("kill-keyd", lambda fleet, _: fleet.kill("keyd"), "SIGKILL keyd")
    add("start-keyd", lambda fleet, _: fleet.start("keyd"), "start keyd again")
    for name, act, text in (("kill", Fleet.kill, "SIGKILL one process"),
                            ("start", Fleet.start, "start a killed process again")):
        add(name, lambda fleet, chosen, act=act: act(fleet, chosen.process),
            text).add_argument("process", help="keyd, agent1, server1, ...")

    arguments = parser.parse_args()
    try:
        arguments.run(Fleet(arguments.dir), arguments)
    except Trouble as trouble:
        sys.exit(f"fleet: {trouble}")


if __name__ == "__main__":
    main()
