// What scrolls can be scrolled from the keyboard, and two roles of the generated markup are completed.
addEventListener("load", () => {
  const each = (what, change) => document.querySelectorAll(what).forEach(change);
  const reach = () =>
    each("pre, .table-wrapper", (box) => {
      if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
    });
  reach();
  addEventListener("resize", reach);
  each(".caption[role=heading]", (caption) => caption.setAttribute("aria-level", "2"));
  each("dt.sig dl, dt.sig dl > dd", (part) => part.setAttribute("role", "none"));
});
