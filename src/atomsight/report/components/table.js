"use strict";
// Tables: sort by a heading, filter by words or column:word, turn pages, save what is shown as CSV.

(() => {
  class DataTable {
    constructor(element, data) {
      this.element = element;
      this.data = data;
      this.page = 0;
      this.sort = null;
      this.text = data.rows.map((row) =>
        row.map((value, i) => atomsight.written(value, data.columns[i].kind)).join(" ").toLowerCase(),
      );
      this.order = data.rows.map((_, i) => i);
      this.body = element.querySelector("tbody");
      this.headings();
      this.controls();
      this.update();
    }

    headings() {
      this.heads = [...this.element.querySelectorAll("thead th")];
      this.heads.forEach((head, i) => {
        const { title } = this.data.columns[i];
        const mark = atomsight.make("span", { "aria-hidden": "true" });
        head.replaceChildren(atomsight.button(title, () => this.sortBy(i), mark));
      });
    }

    controls() {
      const many = this.data.rows.length > this.data.page;
      this.filterBox = atomsight.make("input", {
        type: "search",
        placeholder: `words, or ${this.data.columns[0].key}:word`,
        "aria-label": "Filter rows",
        oninput: () => {
          this.page = 0;
          this.update();
        },
      });
      this.count = atomsight.make("span", { class: "count", "aria-live": "polite" });
      const save = atomsight.button("Save as CSV", () => this.save());
      this.element.querySelector(".tools").replaceChildren(
        ...(this.data.rows.length > 5 ? [this.filterBox] : []), this.count, save,
      );
      this.back = atomsight.button("Back", () => this.turn(-1));
      this.next = atomsight.button("Next", () => this.turn(1));
      this.place = atomsight.make("span", { class: "count" });
      const pages = atomsight.make("div", { class: "pages" }, this.back, this.place, this.next);
      pages.hidden = !many;
      this.element.append(pages);
    }

    /** Show only rows that hold all words; `key:word` asks for that very value of a column. */
    filter(text) {
      this.filterBox.value = text;
      this.page = 0;
      this.update();
    }

    chosen() {
      const keys = this.data.columns.map((column) => column.key);
      const tests = this.filterBox.value.trim().split(/\s+/).filter(Boolean).map((word) => {
        const colon = word.indexOf(":");
        const column = keys.indexOf(word.slice(0, colon));
        if (colon > 0 && column >= 0) {
          const wanted = word.slice(colon + 1).toLowerCase();
          return (i) => String(this.data.rows[i][column] ?? "").toLowerCase() === wanted;
        }
        return (i) => this.text[i].includes(word.toLowerCase());
      });
      return this.order.filter((i) => tests.every((test) => test(i)));
    }

    sortBy(column) {
      const number = this.data.columns[column].kind !== "text";
      const same = this.sort && this.sort.column === column;
      const down = same ? !this.sort.down : number;
      this.sort = { column, down };
      const value = (i) => this.data.rows[i][column];
      const sign = down ? -1 : 1;
      this.order.sort((a, b) => {
        const [x, y] = [value(a), value(b)];
        if (x === y) return a - b;
        if (x === null || x === undefined) return 1;
        if (y === null || y === undefined) return -1;
        return sign * (number ? x - y : String(x).localeCompare(String(y), "en", { numeric: true }));
      });
      this.heads.forEach((head, i) => {
        head.querySelector("span").textContent = i === column ? (down ? " ▼" : " ▲") : "";
        if (i === column) head.setAttribute("aria-sort", down ? "descending" : "ascending");
        else head.removeAttribute("aria-sort");
      });
      this.page = 0;
      this.update();
    }

    turn(by) {
      this.page += by;
      this.update();
    }

    update() {
      const { columns, rows, page, opens } = this.data;
      this.shown = this.chosen();
      const pages = Math.max(1, Math.ceil(this.shown.length / page));
      this.page = Math.min(Math.max(this.page, 0), pages - 1);
      const here = this.shown.slice(this.page * page, (this.page + 1) * page);
      this.body.replaceChildren(
        ...here.map((index) =>
          atomsight.make("tr", { "data-row": index }, ...columns.map(({ kind }, i) => {
            const text = atomsight.written(rows[index][i], kind);
            const inside = opens && i === 0 ? atomsight.button(text, () => this.open(index)) : text;
            const wide = kind === "text" && text.length > 60;
            return atomsight.make("td", { class: kind === "text" ? (wide ? "wide" : null) : "right" }, inside);
          })),
        ),
      );
      const all = rows.length.toLocaleString("en-GB");
      const some = this.shown.length.toLocaleString("en-GB");
      this.count.textContent = this.shown.length === rows.length ? `${all} rows` : `${some} of ${all} rows`;
      this.place.textContent = `page ${this.page + 1} of ${pages}`;
      this.back.disabled = this.page === 0;
      this.next.disabled = this.page === pages - 1;
      this.element.dispatchEvent(new CustomEvent("rows-shown", { bubbles: true }));
    }

    /** Turn to the page that holds a row. */
    reveal(index) {
      const place = this.shown.indexOf(index);
      if (place >= 0) this.turn(Math.floor(place / this.data.page) - this.page);
    }

    open(index) {
      const detail = { index, shown: this.shown };
      this.element.dispatchEvent(new CustomEvent("open-row", { detail, bubbles: true }));
    }

    save() {
      const quoted = (value) => {
        const text = String(value ?? "");
        return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
      };
      const lines = [this.data.columns.map((column) => column.key)]
        .concat(this.shown.map((i) => this.data.rows[i]))
        .map((row) => row.map(quoted).join(","));
      const blob = new Blob([lines.join("\n") + "\n"], { type: "text/csv" });
      const link = atomsight.make("a", { href: URL.createObjectURL(blob), download: `${this.element.id}.csv` });
      link.click();
      URL.revokeObjectURL(link.href);
    }
  }

  atomsight.DataTable = DataTable;
  atomsight.tables = new Map();
  for (const element of document.querySelectorAll(".table[data-rows]")) {
    atomsight.tables.set(element.id, new DataTable(element, atomsight.data(element.dataset.rows)));
  }
})();
