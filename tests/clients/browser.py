"""A headless Chromium that looks at the console of a node: what it reads there, and what a page must never do."""
import contextlib
import os
import pathlib
import shutil

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import sync_playwright

CHROMIUM = os.environ.get("PHAROS_CHROMIUM") or next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
# Where pictures go when somebody wants to look at them.
PICTURES = os.environ.get("PHAROS_PICTURES")
# A page is asked for the last time this long after it was first asked.
LIMIT_MS = 60_000


class Tab:
    """A page of the console. Whatever the browser complains about is kept, and must be nothing in the end."""

    def __init__(self, browser, node, **options):
        self.node = node
        self.context = browser.new_context(**options)
        self.context.set_default_timeout(LIMIT_MS)
        self.page = self.context.new_page()
        self.complaints = []
        # Whether its broker was there all the time.
        self.served = True
        self.asked = []
        self.page.on("console", lambda said: said.type in ("error", "warning") and self.complaints.append(said.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.complaints.append(f"dialog {dialog.message}"), dialog.dismiss()))
        self.page.on("request", lambda request: self.asked.append(request.url))

    def open(self, view=""):
        """Goes to a view and waits until it is drawn."""
        address = f"http://{self.node.admin}/#/{view}"
        if self.page.url.split("#")[0] == f"http://{self.node.admin}/":
            drawn = self.drawn()
            self.page.evaluate("address => { location.hash = address }", f"#/{view}")
            # The view before may be drawn once more until then.
            self.page.wait_for_function(
                "([before, name]) => { const { drawn, view } = document.getElementById('main').dataset; return Number(drawn) > before && view === name }",
                arg=[drawn, view.split("/")[0] or "now"],
            )
        else:
            self.page.goto(address)
            self.page.wait_for_selector("main[data-drawn]")
        return self

    def drawn(self):
        return int(self.page.get_attribute("main", "data-drawn") or 0)

    def table(self, caption):
        """Rows of the table of that caption as dictionaries by column."""
        return self.page.evaluate(
            """caption => {
                const table = [...document.querySelectorAll('main table')].find(it => it.caption.textContent === caption);
                if (!table) return null;
                return [...table.tBodies[0].rows].map(row => Object.fromEntries([...row.cells].map(cell => [cell.dataset.title, cell.textContent.trim()])));
            }""",
            caption,
        )

    def until(self, expression, argument=None):
        """Waits until a JavaScript function is true."""
        return self.page.wait_for_function(expression, arg=argument)

    def text(self):
        return self.page.inner_text("main")

    def fair(self):
        """What axe finds wrong for people who see, hear or point otherwise."""
        found = Axe().run(self.page).response["violations"]
        return [f"{it['id']}: {it['help']}: {[node['html'][:200] for node in it['nodes']][:3]}" for it in found]

    def picture(self, name, whole=False):
        if PICTURES:
            pathlib.Path(PICTURES).mkdir(parents=True, exist_ok=True)
            self.page.screenshot(path=f"{PICTURES}/{name}.png", full_page=whole)

    def close(self):
        self.context.close()
        own = f"http://{self.node.admin}/"
        elsewhere = [url for url in self.asked if not url.startswith((own, "data:"))]
        assert not elsewhere, elsewhere
        left = [it for it in self.complaints if self.served or "net::ERR_" not in it]
        assert not left, left


@contextlib.contextmanager
def chromium():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        try:
            yield browser
        finally:
            browser.close()
