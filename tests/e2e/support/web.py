"""Web servers under test: the applications, starting and stopping them, asking them.

    with web.Server([bundle, *web.OPTIONS], self) as server:
        server.get("/").json()

Only loopback addresses, a free port each, every server ended by its pid.
"""

import http.client
import json
import os
import pwd
import signal
import socket
import subprocess
import time

from support import clean, mod_wsgi, paths, running, trees

WWW_DATA = pwd.getpwnam("www-data").pw_uid

# What mod_wsgi-express is told in (almost) every test.
OPTIONS = ["--locale", "C.UTF-8", "--host", "127.0.0.1", "--log-to-terminal"]
AS_WWW_DATA = ["--user", "www-data", "--group", "www-data"]

# One WSGI application that tells about the process it runs in, as JSON.
_APPLICATION = """\
import importlib.resources
import json
import os
import subprocess
import sys
import time

CHILD = "import hello_site; print(hello_site.__file__)"


def facts():
    module = sys.modules.get("mod_wsgi")
    return {"pid": os.getpid(), "ppid": os.getppid(), "uid": os.getuid(), "cwd": os.getcwd(),
            "file": __file__,
            "path": sys.path, "environ": dict(os.environ),
            "executable": sys.executable, "prefix": sys.prefix,
            "mod_wsgi": getattr(module, "__file__", None)}


def answer(path):
    if path.startswith("/lazy/"):
        return importlib.import_module("hello_lazy.m" + path.rpartition("/")[2]).__file__
    if path.startswith("/slow/"):
        _, _, seconds, number = path.split("/")
        time.sleep(float(seconds))
        file = importlib.import_module("hello_lazy.m" + number).__file__
        if "HELLO_LOG" in os.environ:
            with open(os.environ["HELLO_LOG"], "a") as log:
                log.write(file)
        return file
    if path == "/data":
        return importlib.resources.read_text("hello_site", "data.txt")
    if path == "/spawn":
        def ask(*command):
            return subprocess.check_output([*command, "-c", CHILD], text=True).strip()
        return [ask(sys.executable), ask("python3")]
    if path == "/maps":
        return sorted({line.split(None, 5)[5].strip() for line in open("/proc/self/maps")
            if len(line.split()) > 5})
    return facts()


def application(environ, start_response):
    body = json.dumps(answer(environ["PATH_INFO"])).encode()
    start_response("200 OK", [("Content-Type", "application/json"),
        ("Content-Length", str(len(body)))])
    return [body]
"""

_MAIN = """\
import sys
import mod_wsgi.server


def main():
    mod_wsgi.server.start("--application-type", "module", "hello_site.wsgi", *sys.argv[1:])


if __name__ == "__main__":
    main()
"""


def site_files():
    """The application as a site-packages tree: hello_site, and hello_lazy.m0… to import late."""
    return {
        "hello_site/__init__.py": "",
        "hello_site/wsgi.py": _APPLICATION,
        "hello_site/__main__.py": _MAIN,
        "hello_site/data.txt": "package data",
        "hello_lazy/__init__.py": "",
        **{f"hello_lazy/m{i}.py": f"NUMBER = {i}\n" for i in range(40)},
    }


def express(case):
    """The bundle of mod_wsgi-express alone."""
    tree = mod_wsgi.require_express(case)
    return trees.cached_bundle("express", ("-c", "mod_wsgi-express"), lambda: [tree])


def hello(case):
    """The bundle of mod_wsgi and an application whose entry calls mod_wsgi.server.start()."""
    tree = mod_wsgi.require_express(case)
    return trees.cached_bundle("hello", ("-m", "hello_site"), lambda: [tree, site_tree()])


def hello_function(case):
    """The same with a function as its entry."""
    tree = mod_wsgi.require_express(case)
    return trees.cached_bundle(
        "hello", ("-e", "hello_site.__main__:main"), lambda: [tree, site_tree()]
    )


def site_tree():
    """The application's tree, once per run."""
    with trees.made_once("hello-tree") as path:
        if not path.exists():
            trees.write_tree(path.with_suffix(".new"), site_files()).rename(path)
        return path


def wsgi_script(directory):
    """A hello.wsgi outside of any bundle."""
    path = directory / "hello.wsgi"
    path.write_text(_APPLICATION)
    return path


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def environment(**more):
    """Only what a service manager gives."""
    return {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": "/",
        "TERM": "dumb",
        **more,
    }


class Answer:
    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    def json(self):
        assert self.status == 200, (self.status, self.body[:2000])
        return json.loads(self.body)


class Server:
    """A server process; as a context it is ended, and with it all of its process group, at the
    end."""

    def __init__(
        self,
        command,
        *,
        port=None,
        mode=None,
        env=None,
        cwd=None,
        ready="/",
        seconds=20,
        session=True,
        **popen,
    ):
        self.port = port or free_port()
        self.directory = paths.unique_dir("server")
        os.chmod(self.directory, 0o777)
        self.log_path = self.directory / "log"
        command = [
            str(part).replace("{port}", str(self.port)).replace("{dir}", str(self.directory))
            for part in command
        ]
        streams = {"stdin": subprocess.DEVNULL, **popen}
        with open(self.log_path, "wb") as log:
            streams.setdefault("stdout", log)
            streams.setdefault("stderr", log)
            self.process = running.start(
                command,
                mode=mode,
                env=env or environment(),
                cwd=cwd or self.directory,
                start_new_session=session,
                **streams,
            )
        self.pid = self.process.pid
        if ready:
            self.wait_ready(ready, seconds)

    def log(self):
        return self.log_path.read_text(errors="replace")

    def get(self, path, *, method="GET", headers=None, body=None, timeout=20):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.request(method, path, body, headers or {})
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def replaced(self, pid):
        """Whether another process than `pid` answers now. While they change, mod_wsgi answers
        503."""
        answer = self.get("/") if self.answers() else None
        return answer is not None and answer.status == 200 and answer.json()["pid"] != pid

    def answers(self, path="/"):
        try:
            return self.get(path, timeout=5).status == 200
        except (OSError, http.client.HTTPException):
            return False

    def wait_ready(self, path="/", seconds=20):
        deadline = time.monotonic() + seconds
        while not self.answers(path):
            assert self.process.poll() is None, (
                f"ended with {self.process.returncode}:\n{self.log()}"
            )
            if time.monotonic() > deadline:
                raise AssertionError(f"no 200 within {seconds} s:\n{self.log()}")
            time.sleep(0.05)

    def send(self, number):
        os.kill(self.pid, number)

    def wait(self, seconds=10):
        """The exit status."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {seconds} s:\n{self.log()}") from None

    def stop(self, number=signal.SIGTERM, seconds=10):
        self.send(number)
        return self.wait(seconds)

    def children(self):
        """{pid: command line} of the processes below this one."""
        return {pid: line for pid, line in processes().items() if parent(pid) == self.pid}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.send(signal.SIGTERM)
            clean.wait_until(lambda: self.process.poll() is not None, 6)
        running.kill_session(self.pid)
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


def processes():
    """{pid: command line} of all processes this one sees."""
    found = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/cmdline", "rb") as file:
                    found[int(name)] = (
                        file.read().replace(b"\0", b" ").decode(errors="replace").strip()
                    )
            except OSError:
                pass
    return found


def parent(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return int(file.read().rpartition(")")[2].split()[1])
    except OSError:
        return None
