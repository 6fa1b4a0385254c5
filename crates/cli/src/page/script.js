"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  const cards = [...document.querySelectorAll(".card")];
  const status = byId("filter");
  const everything = byId("everything");
  const all = status.textContent;

  // The gallery: all pictures, or those of one cell of a confusion matrix.
  const choose = (cell) => {
    for (const link of document.querySelectorAll("a[aria-current]")) link.removeAttribute("aria-current");
    let shown = 0;
    for (const card of cards) {
      card.hidden = cell !== null && card.dataset["h" + cell.dataset.head] !== cell.dataset.cell;
      if (!card.hidden) shown += 1;
    }
    everything.hidden = cell === null;
    if (cell === null) {
      status.textContent = all;
      return;
    }
    cell.setAttribute("aria-current", "true");
    status.textContent = "Shown: " + cell.dataset.words + ".";
    byId("gallery").scrollIntoView();
    status.focus({ preventScroll: true });
  };
  document.addEventListener("click", (event) => {
    const cell = event.target.closest("a[data-cell]");
    if (cell) {
      event.preventDefault();
      choose(cell);
    } else if (event.target.closest("a.point")) {
      choose(null);
    }
  });
  everything.addEventListener("click", () => choose(null));

  // The map: a picture beside the mark that is pointed at or has the focus.
  const tip = byId("tip");
  const points = [...document.querySelectorAll("a.point")];
  for (const point of points) {
    const title = point.querySelector("title");
    point.setAttribute("aria-label", title.textContent);
    title.remove();
  }
  const show = (point) => {
    const card = byId("picture-" + point.dataset.row);
    const words = document.createElement("p");
    words.textContent = point.getAttribute("aria-label") + (card ? "" : " (its picture is not in this page)");
    tip.replaceChildren(...(card ? [...card.children].map((part) => part.cloneNode(true)) : [words]));
    tip.hidden = false;
    const mark = point.getBoundingClientRect();
    const size = tip.getBoundingClientRect();
    const beside = mark.right + 10 + size.width < innerWidth ? mark.right + 10 : mark.left - 10 - size.width;
    const above = Math.min(mark.top - size.height / 2, innerHeight - size.height - 8);
    tip.style.left = Math.max(4, beside) + "px";
    tip.style.top = Math.max(4, above) + "px";
  };
  const hide = () => { tip.hidden = true; };
  for (const [begin, end] of [["pointerover", "pointerout"], ["focusin", "focusout"]]) {
    document.addEventListener(begin, (event) => {
      const point = event.target.closest("a.point");
      if (point) show(point);
    });
    document.addEventListener(end, hide);
  }
  document.addEventListener("scroll", hide, { passive: true });
  const steps = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      hide();
      choose(null);
      return;
    }
    const here = points.indexOf(document.activeElement);
    if (here < 0 || !(event.key in steps)) return;
    event.preventDefault();
    const next = points[(here + steps[event.key] + points.length) % points.length];
    points[here].tabIndex = -1;
    next.tabIndex = 0;
    next.focus({ preventScroll: true });
  });
})();
