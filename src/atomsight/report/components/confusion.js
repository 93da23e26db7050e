"use strict";
// Confusion matrices. A cell is the share of the true element's sites (row) with the predicted element (column),
// shaded by its square root so that 1 % is visible next to 95 %. A click filters the table of mistakes.

(() => {
  const { make } = atomsight;
  const SIDE = 900;

  function draw(place, data) {
    const { elements, cells, sites, table } = data;
    const n = elements.length;
    const margin = 34;
    const size = (SIDE - margin) / n;
    const font = Math.max(6, Math.min(15, size * 0.6));
    const read = make("p", { class: "read", "aria-live": "polite" }, "Point at a cell.");
    const svg = make("svg", {
      viewBox: `0 0 ${SIDE} ${SIDE}`,
      role: "img",
      "aria-label": "Confusion matrix: true element by row, predicted element by column",
    });
    const grid = make("rect", {
      x: margin, y: margin, width: n * size, height: n * size, style: "fill:var(--wash)",
    });
    svg.append(grid);
    elements.forEach((symbol, i) => {
      const at = margin + (i + 0.5) * size;
      const style = `font-size:${font}px`;
      const stagger = n > 50 ? (i % 2) * 10 : 0;
      const row = { x: margin - 3 - stagger, y: at, "text-anchor": "end", "dominant-baseline": "central", style };
      const column = { x: at, y: margin - 4 - stagger, "text-anchor": "middle", style };
      svg.append(make("text", row, symbol), make("text", column, symbol));
    });
    for (const [row, column, count] of cells) {
      const share = count / sites[row];
      const right = row === column;
      const words =
        `${elements[row]} ${right ? "found" : `taken for ${elements[column]}`}: ` +
        `${count.toLocaleString("en-GB")} of ${sites[row].toLocaleString("en-GB")} sites, ` +
        `${(100 * share).toFixed(share < 0.01 ? 2 : 1)} %`;
      const cell = make("rect", {
        class: "cell",
        x: margin + column * size,
        y: margin + row * size,
        width: Math.max(size - 0.5, 1),
        height: Math.max(size - 0.5, 1),
        style: `fill:var(--${right ? "blue" : "orange"});fill-opacity:${Math.max(Math.sqrt(share), 0.08).toFixed(3)}`,
        onmouseenter: () => { read.textContent = words; },
        onclick: () => {
          filter(table, right ? `true:${elements[row]}` : `true:${elements[row]} predicted:${elements[column]}`);
          const detail = { true: elements[row], predicted: elements[column] };
          place.dispatchEvent(new CustomEvent("open-cell", { detail, bubbles: true }));
        },
      }, make("title", {}, words));
      svg.append(cell);
      if (size >= 26 && share >= 0.005) {
        svg.append(make("text", {
          x: margin + (column + 0.5) * size, y: margin + (row + 0.5) * size,
          "text-anchor": "middle", "dominant-baseline": "central",
          style: `font-size:${font * 0.8}px;pointer-events:none` +
            (share > 0.35 ? ";fill:var(--paper)" : ""),
        }, (100 * share).toFixed(0)));
      }
    }
    place.replaceChildren(read, svg);
  }

  function filter(identifier, text) {
    const table = atomsight.tables.get(identifier);
    if (!table) return;
    table.filter(text);
    table.element.scrollIntoView({ block: "start" });
  }

  atomsight.drawConfusion = draw;
  for (const place of document.querySelectorAll(".confusion[data-cells]")) {
    draw(place, atomsight.data(place.dataset.cells));
  }
})();
