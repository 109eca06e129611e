/** What is cut off, lies outside of the window, or lies on other words: a list, empty where all is well. */
() => {
  const apart = ".scroll, pre, #contents ul, textarea, .spoken, .hidden, .skip, noscript, select, option";
  const words = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const { parentElement: element } = walker.currentNode;
    const text = walker.currentNode.textContent.trim();
    if (!text || element.closest(apart) || !element.checkVisibility({ visibilityProperty: true })) continue;
    const range = document.createRange();
    range.selectNodeContents(walker.currentNode);
    for (const box of range.getClientRects()) {
      const inset = box.height / 4; // letters do not fill their line
      words.push({ element, text, left: box.left, right: box.right, top: box.top + inset, bottom: box.bottom - inset });
    }
  }
  const found = [];
  for (const { element, text, left, right } of words) {
    if (left < -1 || right > innerWidth + 1) found.push(`outside of the window: ${text}`);
    for (let around = element; around !== document.body; around = around.parentElement) {
      if (getComputedStyle(around).overflowX === "visible") continue;
      const box = around.getBoundingClientRect();
      if (left < box.left - 1 || right > box.right + 1) found.push(`cut off: ${text}`);
    }
  }
  words.forEach((one, at) => {
    for (const other of words.slice(at + 1)) {
      if (one.element.closest(".side, .page") !== other.element.closest(".side, .page")) continue;
      const across = Math.min(one.right, other.right) - Math.max(one.left, other.left);
      const down = Math.min(one.bottom, other.bottom) - Math.max(one.top, other.top);
      if (across > 1 && down > 1) found.push(`one on the other: ${one.text} / ${other.text}`);
    }
  });
  if (document.documentElement.scrollWidth > innerWidth) found.push("the page scrolls sideways");
  return [...new Set(found)];
};
