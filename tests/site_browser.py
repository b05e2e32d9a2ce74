"""A headless Chromium that reports what a page asks for, prints and overflows."""

from __future__ import annotations

import functools
import json
import shutil
import threading
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
SETTLED = """
const done = arguments[arguments.length - 1];
const maths = window.MathJax && MathJax.startup ? MathJax.startup.promise : Promise.resolve();
Promise.all([maths, document.fonts.ready]).then(() => setTimeout(done, 100), done);
"""
WIDER = """
return [...document.querySelectorAll("body *")]
  .filter(e => e.getBoundingClientRect().right > innerWidth + 1)
  .slice(0, 3).map(e => e.outerHTML.slice(0, 120));
"""


def browser_path() -> str | None:
    """Return the browser's program, None unless its driver is there too."""
    found = (path for name in NAMES if (path := shutil.which(name)))
    return next(found, None) if shutil.which("chromedriver") else None


class Browser:
    """One browser for all pages; no other host can be reached from it."""

    def __init__(self):
        options = Options()
        options.binary_location = browser_path()
        for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
            options.add_argument(flag)
        options.add_argument("--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1")
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        self.driver = webdriver.Chrome(options, Service(shutil.which("chromedriver")))
        self.driver.set_script_timeout(30)

    def open(self, address: str, width: int = 1280, theme: str = "light") -> None:
        """Load a page and wait until its mathematics and fonts are there."""
        self.driver.get_log("browser")
        self.driver.get_log("performance")
        self.resize(width)
        self.driver.execute_cdp_cmd(
            "Emulation.setEmulatedMedia",
            {"features": [{"name": "prefers-color-scheme", "value": theme}]},
        )
        self.driver.get(address)
        self.driver.execute_async_script(SETTLED)

    def resize(self, width: int) -> None:
        """Set the width of the screen; narrow ones are telephones."""
        self.driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600},
        )

    def script(self, text: str):
        """Run a script on the page and return its value."""
        return self.driver.execute_script(text)

    def wide_elements(self) -> list[str]:
        """Return what sticks out of the page, if the page scrolls sideways."""
        scrolls = "return document.documentElement.scrollWidth > innerWidth"
        return (self.script(WIDER) or ["something"]) if self.script(scrolls) else []

    def messages(self) -> list[str]:
        """Return the warnings and errors in the console since the page was opened."""
        entries = self.driver.get_log("browser")
        return [e["message"] for e in entries if e["level"] in ("WARNING", "SEVERE")]

    def traffic(self) -> tuple[list[str], list[str]]:
        """Return the addresses asked for since the page was opened, and those that failed."""
        asked, failed = {}, []
        for entry in self.driver.get_log("performance"):
            event = json.loads(entry["message"])["message"]
            parameters = event["params"]
            if event["method"] == "Network.requestWillBeSent":
                asked[parameters["requestId"]] = parameters["request"]["url"]
            elif event["method"] == "Network.responseReceived":
                if parameters["response"]["status"] >= 400:
                    failed.append(parameters["response"]["url"])
            elif event["method"] == "Network.loadingFailed" and not parameters.get("canceled"):
                failed.append(asked.get(parameters["requestId"], "unknown address"))
        return [url for url in asked.values() if not url.startswith("data:")], failed

    def close(self) -> None:
        """End the browser."""
        self.driver.quit()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *arguments) -> None:
        """Print nothing."""


@contextmanager
def served(folder: Path):
    """Serve a folder on a free port and yield its address."""
    handler = functools.partial(_Quiet, directory=str(folder))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
