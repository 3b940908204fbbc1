"""A headless browser, where one is installed."""

import shutil
import tempfile

from support import paths, running


def chromium():
    return (
        shutil.which("chromium")
        or shutil.which("chromium-browser")
        or shutil.which("google-chrome")
    )


def open_page(page, *arguments):
    """Runs a headless browser on a file, without a network; its standard output."""
    with tempfile.TemporaryDirectory(dir=paths.scratch()) as profile:
        command = [
            chromium(),
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--disable-dev-shm-usage",
            f"--user-data-dir={profile}",
            *arguments,
            f"file://{page}",
        ]
        return running.run(
            command, env=running.clean_env(HOME=profile), timeout=60, check=True
        ).stdout
