"""A page in a browser, what it asked for, and what it complained of."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Page


class Seen:
    """A page, and what it asked for and complained of."""

    def __init__(self, page: "Page") -> None:
        self.page = page
        self.complaints: list[str] = []
        self.asked: set[str] = set()
        page.on(
            "console", lambda said: self.complaints.append(said.text) if said.type in ("error", "warning") else None
        )
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("requestfailed", lambda request: self._note(request.url, request.failure or ""))
        page.on("request", lambda request: self.asked.add(request.url))

    def elsewhere(self, url: str) -> set[str]:
        """What it asked of others."""
        return {asked for asked in self.asked if not asked.startswith((url, "data:", "blob:"))}

    def _note(self, url: str, failure: str) -> None:
        if "ERR_ABORTED" not in failure:  # what a page asks for anew it need not wait for
            self.complaints.append(f"not loaded: {url}")
