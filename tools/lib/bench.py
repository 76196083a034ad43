"""Measures what the library costs, always beside something in the same run."""

import argparse
import json
import os
import subprocess
import sys

import bench_attack
import bench_burn
import bench_client
import bench_nginx
import build
import steps

# name -> (goal, unit, what it is); a goal of None is for comparison only, a negative one
# is to be reached from below
figures = {
    "callback_seal_ns": (1100, "ns", "OpenSSL's ticket callback, sealing"),
    "callback_open_ns": (1100, "ns", "OpenSSL's ticket callback, opening"),
    "plain_callback_seal_ns": (None, "ns", "the manual page's callback, sealing"),
    "plain_callback_open_ns": (None, "ns", "the manual page's callback, opening"),
    "seal_200_ns": (700, "ns", "tkt_seal, 200 bytes"),
    "open_200_ns": (600, "ns", "tkt_open, 200 bytes"),
    "plain_seal_200_ns": (None, "ns", "the same with fresh EVP contexts, sealing"),
    "plain_open_200_ns": (None, "ns", "the same with fresh EVP contexts, opening"),
    "lookup_ns": (5, "ns", "a key found by name while nothing changes"),
    "lookup_two_readers_ratio": (1.3, "x", "the same by two threads, against one"),
    "client_lookup_ns": (300, "ns", "pool and session for a host, 100,000 sessions, 8 threads"),
    "client_lookup_lately_ns": (None, "ns", "the same for 2,560 of the hosts, visited lately"),
    "client_pool_cpu_ratio_p256": (None, "x", "client and servers, 12 names: pool client / plain"),
    "client_pool_cpu_ratio_rsa2048": (None, "x", "the same with RSA certificates"),
    "client_pool_cpu_ratio_tls12": (None, "x", "the same in TLS 1.2, 12 servers of one name"),
    "resume_tls12_vs_builtin": (1.0, "x", "server time of a TLS 1.2 resumption"),
    "resume_tls13_vs_builtin": (1.0, "x", "server time of a TLS 1.3 resumption"),
    "full_tls13_vs_builtin": (1.0, "x", "server time of a full TLS 1.3 handshake"),
    "redeem_type2_vs_rsa": (1.25, "x", "a blind RSA token, header to claim, against bare RSA"),
    "redeem_type2_us": (None, "us", "the same in time"),
    "replay_refused_ns": (1000, "ns", "a token that was spent, header to refusal"),
    "issue_type2_vs_rsa": (1.1, "x", "a blind RSA token issued, against bare RSA"),
    "issue_type2_us": (None, "us", "the same in time"),
    "issue_type5_batch32_us": (None, "us", "a ristretto token issued, in a batch of 32"),
    "replay_insert_ns": (170, "ns", "a fresh claim, ten million entries"),
    "replay_hit_ns": (110, "ns", "a look that finds a replay"),
    "replay_bytes_per_entry": (12, "B", "memory of the replay table"),
    "replay_two_processes_ns": (100, "ns", "wall time a claim, two processes at once"),
    "redis_claim_vs_raw": (-0.9, "x", "claims a second in Redis, against bare hiredis"),
    "redis_claims_k_per_s": (None, "k/s", "the same in thousands"),
    "redis_bytes_per_token": (32, "B", "memory of Redis for a spent token, epoch full"),
    "nginx_resume_tls12_vs_static": (1.0, "x", "nginx's CPU of a TLS 1.2 resumption"),
    "nginx_resume_tls13_vs_static": (1.0, "x", "nginx's CPU of a TLS 1.3 resumption"),
    "burn_to_last_agent_ms": (1000, "ms", "an order to burn reaches the last of 200 agents"),
    "revoke_to_last_agent_ms": (1000, "ms", "an order to revoke tickets does"),
    "keyd_idle_cpu_percent": (0.5, "%", "of a core, keyd with three members that wait"),
    "fetch_median_under_attack_ms": (None, "ms", "connect, bundle and wrap, under attack"),
    "fetch_p99_under_attack_ms": (100, "ms", "the same, 99 of 100"),
    "keyd_under_attack_mib": (128, "MiB", "keyd's memory meanwhile"),
}


def measure():
    folder = build.folder("plain").with_name(build.folder("plain").name + "-bench")
    os.environ["TICKET_BUILD"] = str(folder)
    build.kinds["plain"] = (*build.kinds["plain"][:2],
                            ["-Dbench=true", "-Dtests=false"])
    with steps.Step("build the benchmarks"):
        where = build.build("plain", ["bench/ticket-bench", "bench/ticket-resume-bench",
                                      "bench/ticket-client-bench",
                                      "bench/ticket-redis-bench", "examples/poolget",
                                      "keyd/keyd", "ticketctl/ticketctl",
                                      "examples/ticket-example-server",
                                      "plugins/nginx/ngx_http_ticket_module.so"])
    done = subprocess.run([where / "bench/ticket-bench"], stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise steps.Failed("the benchmark failed")
    measured = json.loads(done.stdout)
    with steps.Step("look for sessions as a client does"):
        measured.update(json.loads(subprocess.check_output([where / "bench/ticket-client-bench"])))
    with steps.Step("claim in Redis, as the agent does and with bare hiredis"):
        measured.update(json.loads(subprocess.check_output([where / "bench/ticket-redis-bench"])))
    with steps.Step("visit twelve servers, with a pool client and without"):
        measured.update(bench_client.measure())
    with steps.Step("resume at nginx, with the module and without"):
        measured.update(bench_nginx.measure(where))
    with steps.Step(f"order {bench_burn.agents} agents about"):
        measured.update(bench_burn.measure(where))
    with steps.Step("look at keyd idle, then under attack"):
        measured.update(bench_attack.measure())
    return measured


def spread(measured, name):
    if name + "_q1" not in measured:
        return ""
    digits = 0 if measured[name] >= 100 else 2
    return f"{measured[name + '_q1']:.{digits}f}-{measured[name + '_q3']:.{digits}f}"


def verdict(measured, name, goal):
    """Ratios are met within noise: when the better quartile reaches the goal."""
    if goal is None:
        return ""
    sign = -1 if goal < 0 else 1
    best = measured.get(name + ("_q3" if goal < 0 else "_q1"), measured[name])
    return ("met" if sign * measured[name] <= goal
            else "met within noise" if sign * best <= goal else "missed")


def draw(measured):
    print(f"{'figure':28}{'measured':>10}  {'quartiles':11}{'goal':>8}  verdict")
    for name, (goal, unit, what) in figures.items():
        value = f"{measured[name]:.0f} {unit}" if measured[name] >= 100 else f"{measured[name]:.2f} {unit}"
        wanted = "" if goal is None else f"<= {goal:g}" if goal > 0 else f">= {-goal:g}"
        print(f"{name:28}{value:>10}  {spread(measured, name):11}{wanted:>8}  "
              f"{verdict(measured, name, goal):16}  {what}")


def main():
    parser = argparse.ArgumentParser(prog="tools/bench", description=__doc__,
                                     epilog="Example: tools/bench --json bench.json")
    parser.add_argument("--json", metavar="FILE", help="also write an object name -> value")
    arguments = parser.parse_args()
    try:
        measured = measure()
    except steps.Failed as failure:
        sys.exit(str(failure))
    draw(measured)
    if arguments.json:
        with open(arguments.json, "w") as file:
            json.dump(measured, file, indent=2)
            file.write("\n")


if __name__ == "__main__":
    main()
