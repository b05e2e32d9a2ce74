"""A headless Chromium that reports what a page asks for, says, overflows and keeps from readers.

Accessibility is judged by axe-core, from its npm package in tests/node_modules.
"""

from __future__ import annotations

import base64
import functools
import json
import shutil
import threading
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from selenium import webdriver
from selenium.webdriver import ActionChains
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
AXE = Path(__file__).resolve().parent / "node_modules" / "axe-core" / "axe.min.js"
# What depends on the colours, and so on the theme.
COLOUR_RULES = ("color-contrast", "link-in-text-block")
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

# MathJax draws a formula with hundreds of elements that hold no text: a box of the same size can
# stand for them. Tokens of code have the colours of their class: one of each, in each kind of
# listing, can stand for the others. This makes an audit three times as fast.
THIN = """
document.head.insertAdjacentHTML("beforeend",
  "<style>* { transition: none !important; animation: none !important; }</style>");
for (const formula of document.querySelectorAll("mjx-container")) {
  const size = formula.firstElementChild.getBoundingClientRect();
  const box = document.createElement("span");
  box.style.cssText = `display: inline-block; width: ${size.width}px; height: ${size.height}px`;
  formula.replaceChildren(box);
}
const seen = new Set();
for (const listing of document.querySelectorAll("pre")) {
  let place = "";
  for (let e = listing; e; e = e.parentElement) place += e.className + "/";
  for (const token of listing.querySelectorAll("span:not([id]):not(a span)")) {
    const kind = place + token.className;
    if (token.querySelector("*") || !seen.has(kind)) seen.add(kind);
    else token.replaceWith(...token.childNodes);
  }
  listing.normalize();
}
"""
# The theme lets the keyboard reach what scrolls a moment after the window has changed.
REACHABLE = """
const scrolling = "pre, mjx-container[display=true], .pst-scrollable-table-container";
return [...document.querySelectorAll(scrolling)].every(
  e => e.scrollWidth <= e.clientWidth || e.tabIndex === 0);
"""
AUDIT = """
const [rules, done] = arguments;
const options = {resultTypes: ["violations"], elementRef: false, preload: false};
if (rules.length) options.runOnly = rules;
axe.run(document, options).then(
  result => done(result.violations.filter(v => v.impact !== "minor").map(
    v => `${v.impact}: ${v.help} (${v.id}): ${v.nodes.slice(0, 3).map(n => n.html).join(" ")}`)),
  problem => done([String(problem)]));
"""


def browser_path() -> str | None:
    """Return the browser's program, None unless its driver is there too."""
    found = (path for name in NAMES if (path := shutil.which(name)))
    return next(found, None) if shutil.which("chromedriver") else None


class Browser:
    """One browser for all pages; no other host can be reached from it."""

    def __init__(self, seconds: float = 60):
        options = Options()
        options.binary_location = browser_path()
        for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
            options.add_argument(flag)
        options.add_argument("--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1")
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        self.driver = webdriver.Chrome(options, Service(shutil.which("chromedriver")))
        self.driver.set_script_timeout(seconds)
        self.driver.command_executor.client_config.timeout = seconds + 60

    def open(self, address: str, width: int = 1280, theme: str = "light") -> None:
        """Load a page and wait until its mathematics and fonts are there."""
        self.driver.get_log("browser")
        self.driver.get_log("performance")
        self.resize(width)
        self.colour(theme)
        self.driver.get(address)
        self.driver.execute_async_script(SETTLED)

    def colour(self, theme: str) -> None:
        """Set the colours that the reader's system asks for, "light" or "dark"."""
        self.driver.execute_cdp_cmd(
            "Emulation.setEmulatedMedia",
            {"features": [{"name": "prefers-color-scheme", "value": theme}]},
        )

    def resize(self, width: int) -> None:
        """Set the width of the screen; narrow ones are telephones."""
        self.driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600},
        )

    def script(self, text: str):
        """Run a script on the page and return its value."""
        return self.driver.execute_script(text)

    def wait_for(self, condition: str, seconds: float = 10) -> bool:
        """Run a script until it returns something true, and say whether it did."""
        for _ in range(round(seconds * 20)):
            if self.script(condition):
                return True
            self.driver.execute_async_script("setTimeout(arguments[0], 50)")
        return False

    def press(self, *keys: str) -> None:
        """Press keys, together."""
        actions = ActionChains(self.driver)
        for key in keys:
            actions.key_down(key)
        for key in reversed(keys):
            actions.key_up(key)
        actions.perform()

    def thin(self) -> None:
        """Make the page small and still for audits, at the same layout, colours and text."""
        self.script(THIN)
        self.script(AXE.read_text(encoding="utf-8"))

    def audit(self, rules: tuple[str, ...] = ()) -> list[str]:
        """Return axe-core's findings on a thin page, by some rules or all, but for minor ones."""
        self.wait_for(REACHABLE)
        return self.driver.execute_async_script(AUDIT, list(rules))

    def pdf(self, **options) -> bytes:
        """Print the page; the options are those of the protocol's Page.printToPDF."""
        printed = self.driver.execute_cdp_cmd("Page.printToPDF", options)
        return base64.b64decode(printed["data"])

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
