"use strict";
(() => {
  const say = (words) => { document.getElementById("announcement").textContent = words; };

  // Tables: a heading is a button, first upward, then downward; rows without a value stay last.
  const read = (row, column) => {
    const cell = row.cells[column];
    return "value" in cell.dataset ? Number(cell.dataset.value) : cell.textContent.trim();
  };
  const order = (a, b) => {
    if (typeof a === "number" && typeof b === "number") return a - b;
    if (typeof a === "number") return -1;
    if (typeof b === "number") return 1;
    return a.localeCompare(b, "en", { numeric: true });
  };
  for (const table of document.querySelectorAll("table.sortable")) {
    const headings = [...table.tHead.rows[0].cells];
    headings.forEach((heading, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...heading.childNodes);
      heading.replaceChildren(button);
      button.addEventListener("click", () => {
        const down = heading.getAttribute("aria-sort") === "ascending";
        headings.forEach((other) => other.removeAttribute("aria-sort"));
        heading.setAttribute("aria-sort", down ? "descending" : "ascending");
        const rows = [...table.tBodies[0].rows].map((row) => [read(row, column), row]);
        const none = rows.filter(([value]) => value === "");
        const some = rows.filter(([value]) => value !== "").sort(([a], [b]) => (down ? order(b, a) : order(a, b)));
        table.tBodies[0].append(...[...some, ...none].map(([, row]) => row));
        say(`Sorted by ${button.textContent}, ${down ? "descending" : "ascending"}`);
      });
    });
  }

  // What is folded is printed as well.
  addEventListener("beforeprint", () => {
    for (const part of document.querySelectorAll("details")) part.open = true;
  });

  // Copying: the clipboard where the browser lends it, else the selection.
  for (const button of document.querySelectorAll("button.copy")) {
    const words = button.textContent;
    button.hidden = false;
    button.addEventListener("click", async () => {
      const code = document.getElementById(button.dataset.copy);
      let done = true;
      try {
        await navigator.clipboard.writeText(code.textContent);
      } catch {
        getSelection().selectAllChildren(code);
        done = document.execCommand("copy");
      }
      button.textContent = done ? "Copied" : "Selected: copy it with the keyboard";
      say(button.textContent);
      setTimeout(() => { button.textContent = words; }, 2000);
    });
  }

  // The film: every frame is drawn from numbers.
  const store = document.getElementById("film-data");
  if (!store) return;
  const film = JSON.parse(store.textContent);
  const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const words16 = (text) => new Uint16Array(bytes(text).buffer);
  const LEVELS = 65534, UNSIGNED = "#737373", LEFT = 46, FOOT = 36, HEAD = 22;
  const panels = film.panels.map((panel) => {
    const canvas = document.createElement("canvas");
    canvas.setAttribute("role", "img");
    document.getElementById("film-panels").append(canvas);
    return {
      ...panel, canvas,
      points: panel.points && words16(panel.points), radii: panel.radii && bytes(panel.radii),
      hues: panel.hues && bytes(panel.hues), shades: panel.shades && bytes(panel.shades),
      heights: panel.heights && words16(panel.heights),
    };
  });
  film.classes.forEach((name, place) => {
    const key = document.createElement("span"), dot = document.createElement("span");
    key.className = "key";
    dot.style.background = film.colours[place];
    key.append(dot, name);
    document.getElementById("film-keys").append(key);
  });
  const round = (value) => Number(value.toPrecision(2)).toString();

  const axes = (pen, panel, width, height) => {
    const [low, high] = film.box, tall = low.length > 1 ? [low[1], high[1]] : [0, film.top];
    pen.fillStyle = "#ffffff";
    pen.fillRect(0, 0, width, height);
    pen.strokeStyle = "#8a8a8a";
    pen.strokeRect(LEFT + .5, HEAD + .5, width - LEFT - 8, height - FOOT - HEAD);
    pen.fillStyle = "#222222";
    pen.font = "12px sans-serif";
    pen.textAlign = "center";
    pen.fillText(panel.label, (width + LEFT) / 2, 14);
    pen.fillText(film.names[0], (width + LEFT) / 2, height - 6);
    pen.textAlign = "left";
    pen.fillText(round(low[0]), LEFT, height - FOOT + 15);
    pen.textAlign = "right";
    pen.fillText(round(high[0]), width - 6, height - FOOT + 15);
    pen.fillText(round(tall[0]), LEFT - 4, height - FOOT);
    pen.fillText(round(tall[1]), LEFT - 4, HEAD + 10);
    pen.save();
    pen.translate(14, (height - FOOT + HEAD) / 2);
    pen.rotate(-Math.PI / 2);
    pen.textAlign = "center";
    pen.fillText(film.names[1], 0, 0);
    pen.restore();
  };
  // A density: one pixel a cell, from light to dark, stretched over the panel.
  const shaded = (pen, panel, at, wide, tall) => {
    const side = panel.cells, sheet = document.createElement("canvas");
    sheet.width = sheet.height = side;
    const cells = sheet.getContext("2d"), pixels = cells.createImageData(side, side);
    for (let across = 0; across < side; across++) {
      for (let up = 0; up < side; up++) {
        const shade = panel.shades[(at * side + across) * side + up], pixel = 4 * ((side - 1 - up) * side + across);
        pixels.data.fill(240 - shade / 2, pixel, pixel + 3);
        pixels.data[pixel + 3] = shade ? 255 : 0;
      }
    }
    cells.putImageData(pixels, 0, 0);
    pen.drawImage(sheet, LEFT, HEAD, wide, tall);
  };
  const paint = (panel, at) => {
    const width = panel.canvas.clientWidth || 320, height = Math.round(width * .85), scale = devicePixelRatio || 1;
    panel.canvas.width = width * scale;
    panel.canvas.height = height * scale;
    const pen = panel.canvas.getContext("2d");
    pen.scale(scale, scale);
    axes(pen, panel, width, height);
    const wide = width - LEFT - 8, tall = height - FOOT - HEAD, foot = height - FOOT;
    if (panel.shades) {
      shaded(pen, panel, at, wide, tall);
      return;
    }
    pen.globalAlpha = .6;
    if (panel.heights) {
      for (let kind = 0; kind < panel.kinds; kind++) {
        pen.fillStyle = panel.kinds === 1 ? UNSIGNED : film.colours[kind];
        for (let bin = 0; bin < panel.bins; bin++) {
          const part = panel.heights[(at * panel.kinds + kind) * panel.bins + bin] / LEVELS;
          pen.fillRect(LEFT + wide * bin / panel.bins, foot - tall * part, wide / panel.bins, tall * part);
        }
      }
      return;
    }
    for (let dot = at * panel.count; dot < (at + 1) * panel.count; dot++) {
      if (panel.points[2 * dot] > LEVELS) continue;
      pen.fillStyle = panel.hues ? film.colours[panel.hues[dot]] : UNSIGNED;
      pen.beginPath();
      pen.arc(LEFT + wide * panel.points[2 * dot] / LEVELS, foot - tall * panel.points[2 * dot + 1] / LEVELS,
        panel.radii[dot] / 16, 0, 2 * Math.PI);
      pen.fill();
    }
  };

  const play = document.getElementById("film-play"), time = document.getElementById("film-time");
  const title = document.getElementById("film-title"), calm = matchMedia("(prefers-reduced-motion: reduce)");
  const box = document.getElementById("film"), last = film.titles.length - 1, TICK = 100;
  let playing = false, due = 0, seen = false;
  const show = (at) => {
    time.value = at;
    title.value = film.titles[at];
    time.setAttribute("aria-valuetext", film.titles[at]);
    for (const panel of panels) {
      panel.canvas.setAttribute("aria-label", `${panel.label ? `${panel.label}: the` : "The"} cloud at ${film.titles[at]}`);
      paint(panel, at);
    }
  };
  const turn = (on) => {
    playing = on;
    play.textContent = on ? "Pause" : "Play";
    if (!on) return;
    if (Number(time.value) === last) show(0);
    due = performance.now() + TICK * film.ticks[Number(time.value)];
    requestAnimationFrame(step);
  };
  const step = (now) => {
    if (!playing) return;
    if (now >= due) {
      const next = Number(time.value) + 1;
      if (next > last) return turn(false);
      show(next);
      due = now + TICK * film.ticks[next];
      if (next === last) return turn(false);
    }
    requestAnimationFrame(step);
  };
  document.body.classList.add("playable");
  box.hidden = false;
  show(0);
  play.addEventListener("click", () => { seen = true; turn(!playing); });
  time.addEventListener("input", () => { turn(false); show(Number(time.value)); });
  calm.addEventListener("change", () => { if (calm.matches) turn(false); });
  addEventListener("resize", () => show(Number(time.value)));
  // It plays once, when it comes into sight, unless the reader wants things still.
  new IntersectionObserver((entries) => {
    if (entries.some((entry) => entry.isIntersecting) && !seen && !calm.matches && last > 0) { seen = true; turn(true); }
  }, { threshold: .5 }).observe(box);
})();
