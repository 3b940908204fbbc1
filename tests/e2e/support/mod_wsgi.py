"""The real mod_wsgi with mod_wsgi-express, built from Debian's source package.

Debian's binary package has the Apache module alone. Its source package of trixie holds the upstream
tarball, which builds with bookworm's apache2-dev and python3-dev. apt's own client fetches it,
through a deb-src entry made from the sources this machine has; nothing of the machine's apt is
touched. Where it cannot be had, the same tree is assembled of Debian's mod_wsgi.so and nothing
else, and tests that need mod_wsgi-express are skipped, loudly.
"""

import contextlib
import glob
import os
import pathlib
import re
import shutil
import subprocess
import tarfile

from support import paths, trees
from support.running import clean_env

VERSION = "5.0.2"
RELEASE = "trixie"
DEBIAN_MODULE = "/usr/lib/apache2/modules/mod_wsgi.so"


class Unavailable(Exception):
    """Why the source could not be had."""


def configured_sources():
    """(URI, keyring or "") of every Debian archive among apt's configured sources."""
    found = []
    for name in ["/etc/apt/sources.list", *sorted(glob.glob("/etc/apt/sources.list.d/*.list"))]:
        with contextlib.suppress(OSError):
            for line in pathlib.Path(name).read_text().splitlines():
                match = re.match(
                    r"\s*deb(?:-src)?\s+(?:\[([^]]*)\]\s+)?(\S+)\s+\S+\s+.*\bmain\b", line
                )
                if match:
                    keyring = re.search(r"signed-by=(\S+)", match[1] or "")
                    found.append((match[2], keyring[1] if keyring else ""))
    for name in sorted(glob.glob("/etc/apt/sources.list.d/*.sources")):
        for stanza in pathlib.Path(name).read_text().split("\n\n"):
            fields = dict(re.findall(r"^([A-Za-z-]+):[ \t]*(.*)$", stanza, re.M))
            if (
                "deb" in fields.get("Types", "").split()
                and "main" in fields.get("Components", "").split()
            ):
                keyring = fields.get("Signed-By", "")
                found += [
                    (uri, keyring if keyring.startswith("/") else "")
                    for uri in fields.get("URIs", "").split()
                ]
    return list(
        dict.fromkeys(
            (uri, key) for uri, key in found if "security" not in uri and "backports" not in uri
        )
    )


def _apt(directory, *arguments, cwd):
    private = [
        f"-oDir::State={directory}/state",
        f"-oDir::Cache={directory}/cache",
        f"-oDir::Etc::SourceList={directory}/sources.list",
        f"-oDir::Etc::SourceParts={directory}/empty",
        "-oAPT::Sandbox::User=root",
        "-oAcquire::Languages=none",
        "-oAcquire::Retries=2",
        "-oAcquire::http::Timeout=20",
    ]
    return subprocess.run(
        ["apt-get", "-q", *private, *arguments],
        check=False,
        cwd=cwd,
        env=clean_env(LC_ALL="C"),
        text=True,
        capture_output=True,
        timeout=120,
    )


def fetch_source(directory):
    """Downloads the upstream tarball below `directory`; returns its path. Raises Unavailable."""
    reasons = []
    for uri, keyring in configured_sources():
        for part in ("state/lists/partial", "cache/archives/partial", "empty", "out"):
            (directory / part).mkdir(parents=True, exist_ok=True)
        option = f"[signed-by={keyring}] " if keyring else ""
        (directory / "sources.list").write_text(f"deb-src {option}{uri} {RELEASE} main\n")
        try:
            updated = _apt(directory, "update", cwd=directory)
            # Some mirrors carry the tarball and not the .dsc beside it; apt checks what it gets all
            # the same.
            fetched = _apt(
                directory, "source", "--download-only", "mod-wsgi", cwd=directory / "out"
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            reasons.append(str(error))
            continue
        found = sorted((directory / "out").glob(f"mod-wsgi_{VERSION}*.orig.tar.*"))
        if found:
            return found[0]
        reasons.append((updated.stderr + fetched.stderr).strip() or f"no mod-wsgi {VERSION} there")
    raise Unavailable("; ".join(reasons) or "apt has no Debian archive configured")


def _build(source, target):
    done = subprocess.run(
        [
            paths.PYTHON,
            "-m",
            "pip",
            "install",
            "--no-build-isolation",
            "--no-index",
            "--no-deps",
            "--no-compile",
            "--no-cache-dir",
            "--root-user-action=ignore",
            "--disable-pip-version-check",
            "--target",
            target,
            source,
        ],
        check=False,
        env=clean_env(HOME=str(target.parent)),
        text=True,
        capture_output=True,
        timeout=300,
    )
    if done.returncode:
        raise Unavailable(f"it does not build: {done.stdout[-1500:]}{done.stderr[-1500:]}")


def express_tree():
    """The pip-style tree of mod_wsgi with its mod_wsgi-express script, once per run. Raises
    Unavailable."""
    with trees.made_once("mod-wsgi") as path:
        failed = path.with_suffix(".failed")
        if failed.exists():
            raise Unavailable(failed.read_text())
        if not path.exists():
            work = paths.unique_dir("mod-wsgi-work")
            try:
                with tarfile.open(fetch_source(work)) as archive:
                    archive.extractall(work / "source", filter="data") if hasattr(
                        tarfile, "data_filter"
                    ) else archive.extractall(work / "source")
                (source,) = (work / "source").iterdir()
                _build(source, work / "tree")
                (work / "tree").rename(path)
            except Unavailable as reason:
                failed.write_text(str(reason))
                print(
                    f"\nmod_wsgi {VERSION} CANNOT BE HAD, tests of mod_wsgi-express are "
                    f"skipped: {reason}\n",
                    flush=True,
                )
                raise
            finally:
                shutil.rmtree(work, ignore_errors=True)
        return path


def require_express(case):
    """express_tree(), or the test is skipped with the reason."""
    try:
        return express_tree()
    except Unavailable as reason:
        if os.environ.get("E2E_REQUIRE_MOD_WSGI"):
            raise AssertionError(f"mod_wsgi {VERSION}: {reason}") from None
        case.skipTest(f"mod_wsgi {VERSION} cannot be had: {reason}")
