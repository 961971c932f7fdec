"""Try the built site in a browser, as a reader would: docs.py FOLDER.

Every page is opened on a phone and on a desk: nothing may be wider than the screen, complain, lead nowhere, or load
anything from elsewhere. Then the search, a copy button and the switch of the mode are used, and the recording has to
stand still for readers who want that.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urldefrag

from failure import Failure
from playwright.sync_api import Page, sync_playwright  # pyright: ignore[reportMissingImports]  # scripts/docs has it

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
WIDTHS = (390, 1280)
SOUGHT = "OutcomeUnknownError"
RECORDING = "_images/cli-recording.svg"
# A table or a code block may be scrolled by itself; the page and its content may not.
TOO_WIDE = "[...document.querySelectorAll('html, .content')].some(it => it.scrollWidth > it.clientWidth)"
LINKS = "[...document.querySelectorAll('a[href]')].map(link => link.href)"
NAMES = "[...document.querySelectorAll('[id]')].map(element => element.id)"


class Quiet(SimpleHTTPRequestHandler):
    """Serves the site without a line for each request."""

    def log_message(self, format: str, *args: object) -> None:
        pass


def browser() -> str:
    """Find a browser; as root on Debian, install one."""
    if not any(map(shutil.which, BROWSERS)) and shutil.which("apt-get") and os.geteuid() == 0:
        for command in (["update"], ["install", "--yes", "--no-install-recommends", "chromium"]):
            subprocess.run(["apt-get", "--quiet", *command], check=False, stdout=subprocess.DEVNULL)
    for found in filter(None, map(shutil.which, BROWSERS)):
        return found
    raise Failure("no Chromium or Chrome found; on Debian: apt install chromium")


def check_pages(page: Page, root: str, folder: Path) -> list[str]:
    """Open every page in every width, and give what is wrong with them."""
    wrong: list[str] = []
    links: dict[str, str] = {}
    names: dict[str, list[str]] = {}
    for path in sorted(folder.rglob("*.html")):
        place = f"{root}/{path.relative_to(folder).as_posix()}"
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 800})
            page.goto(place)
            if page.evaluate(TOO_WIDE):
                wrong.append(f"{place} is wider than {width} px")
        names[place] = page.evaluate(NAMES)
        links |= dict.fromkeys(page.evaluate(LINKS), place)
    for link, place in links.items():
        target, fragment = urldefrag(link)
        if target.startswith(f"{root}/"):
            there = (folder / target.removeprefix(f"{root}/")).is_file()
            if not there or (fragment and fragment not in names.get(target, [fragment])):
                wrong.append(f"{place} has a link that leads nowhere: {link}")
        elif not target.startswith("https://"):
            wrong.append(f"{place} has a link that is no https: {link}")
    return wrong


def use(page: Page, root: str) -> list[str]:
    """Search, copy, switch the mode and watch the recording, and give what did not work."""
    wrong: list[str] = []
    page.goto(f"{root}/index.html")
    page.locator("input[name=q]").first.fill(SOUGHT)
    page.keyboard.press("Enter")
    page.locator("ul.search a").first.click()
    if not page.url.endswith(f"/reference/errors.html#api_keys_client.{SOUGHT}"):
        wrong.append(f"the search for {SOUGHT} leads to {page.url}")
    page.goto(f"{root}/index.html")
    example = page.locator("div.highlight").first
    example.hover()
    example.locator("button.copybtn").click()
    copied, shown = page.evaluate("navigator.clipboard.readText()"), example.locator("pre").inner_text()
    if copied.strip() != shown.strip():
        wrong.append(f"the first example is {shown!r}, copied {copied!r}")
    modes = set()
    for _ in range(3):
        page.locator("button.theme-toggle:visible").click()
        modes.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    if len(modes) != 2:
        wrong.append(f"the switch leads to these backgrounds: {modes}")
    page.evaluate(f"fetch('{RECORDING}').then(it => it.text()).then(it => document.body.innerHTML = it)")
    for wanted, moves in (("no-preference", True), ("reduce", False)):
        page.emulate_media(reduced_motion=wanted)
        if page.evaluate("document.getAnimations().some(it => it.animationName)") != moves:
            wrong.append(f"the recording {'stands still' if moves else 'moves'} with {wanted} of motion")
    return wrong


def check(folder: Path) -> None:
    """Try the site in a folder.

    Raises:
        Failure: what is wrong with it.
    """
    wrong: list[str] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    root = f"http://127.0.0.1:{server.server_port}"
    with server, sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=browser())
        context = started.new_context(permissions=["clipboard-read", "clipboard-write"])
        page = context.new_page()

        def note(problem: object) -> None:
            wrong.append(f"{page.url}: {problem}")

        page.on("console", lambda said: note(said.text) if said.type == "error" else None)
        page.on("pageerror", note)
        page.on("request", lambda sent: None if sent.url.startswith(root) else note(f"loads {sent.url}"))
        wrong += check_pages(page, root, folder)
        wrong += use(page, root)
        started.close()
        server.shutdown()
    if wrong:
        raise Failure("\n".join(wrong))


if __name__ == "__main__":
    try:
        check(Path(sys.argv[1]).resolve())
    except Failure as failure:
        sys.exit(f"docs: {failure}")
    print("Looked at: every page, the search, a copy button, the modes, the recording.")
