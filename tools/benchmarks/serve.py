"""From the launch of a Django site to its first 200, against the same files unpacked.

Both are started with the same options, become Debian's httpd with Debian's mod_wsgi and are asked
for /admin/login/ until they answer. The unpacked one is what `haft extract` makes, with its
site-packages on PYTHONPATH and the directory in memory that a bundle's start makes for httpd's
files. Beside them bundles with httpd and Python inside: as `haft build` makes them, and built anew
with what `haft trace` has seen of their start."""

import contextlib
import http.client
import os
import pathlib
import signal
import socket
import statistics
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests" / "e2e"))
from benchmarks.bench import BenchError, spread, table
from support import django_app, trees

LIMIT = 1.05


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def first_answer(command, env):
    """Milliseconds from the launch to the first 200; the server is ended afterwards."""
    port = free_port()
    began = time.monotonic()
    server = subprocess.Popen(
        [*map(os.fspath, command), "--port", str(port), "--user", "www-data"],
        env=env,
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        while time.monotonic() < began + 30:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            try:
                connection.request("GET", "/admin/login/")
                if connection.getresponse().status == 200:
                    return (time.monotonic() - began) * 1e3
            except OSError:
                pass
            finally:
                connection.close()
            if server.poll() is not None:
                break
            time.sleep(0.001)
        raise BenchError(f"{command[0]}: no 200 from /admin/login/")
    finally:
        if server.poll() is None:
            server.send_signal(signal.SIGTERM)
        server.wait(20)


@contextlib.contextmanager
def fresh_memory(bench, directory):
    bench.call("mount", "-t", "tmpfs", "-o", "mode=0700", "none", directory)
    try:
        yield
    finally:
        bench.call("umount", "-l", directory)


def measure(bench):
    runs = bench.runs(10)
    project = trees.write_tree(bench.work / "mysite", django_app.FILES)
    site = bench.work / "site"
    bench.progress.show("building site …")

    def build(output, *options):
        bench.call(
            bench.haft,
            "build",
            "--site-packages",
            bench.django_tree(),
            "--site-packages",
            project,
            "--wsgi",
            "mysite.wsgi",
            "-o",
            output,
            *options,
        )
        return output

    build(site)
    if "modules.index" not in bench.call(bench.haft, "ls", site, ".haft/py"):
        raise BenchError(
            "the bundle was built without a profile of its start (a build on a busy machine "
            "gives up after ten seconds)"
        )
    unpacked = bench.work / "site-unpacked"
    if not unpacked.exists():
        bench.call(bench.haft, "extract", site, unpacked)
    for directory in (bench.work, unpacked):
        os.chmod(directory, 0o755)  # www-data reads it
    plain = {**bench.env, "PYTHONPATH": str(unpacked / "site-packages")}
    memory = bench.work / ".run"
    memory.mkdir(exist_ok=True)

    def start_unpacked():
        with fresh_memory(bench, memory):
            return first_answer(["/usr/bin/python3", unpacked / ".haft/py/_haft_serve.py"], plain)

    inside, traced, profile = (
        bench.work / name for name in ("site-inside", "site-traced", "site.profile")
    )
    build(inside, "--bundle-httpd")
    profile.unlink(missing_ok=True)
    first_answer([bench.haft, "trace", "--profile", profile, inside], bench.env)
    build(traced, "--bundle-httpd", "--profile-from", profile)
    variants = {
        "haft": lambda: first_answer([site], bench.env),
        "unpacked": start_unpacked,
        "httpd inside": lambda: first_answer([inside], bench.env),
        "httpd inside, --profile-from": lambda: first_answer([traced], bench.env),
    }

    def first_200(suffix, key):
        samples = bench.rounds("serve", variants, runs)
        ratio = statistics.median(samples["haft"]) / statistics.median(samples["unpacked"])
        table(
            f"A Django site: launch to the first 200 of /admin/login/{suffix} ({runs} runs "
            f"each): {ratio:.3f} of the time unpacked",
            ["milliseconds", "median", "p10", "p90"],
            [[name, *spread(values)] for name, values in samples.items()],
        )
        bench.results[key] = {"samples_ms": samples, "ratio": ratio}
        yield "Django site: first 200, time against unpacked", ratio, LIMIT, "×"

    bench.judged("serve", first_200)
