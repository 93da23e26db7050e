// Parts that several views use: drop area, job status, tables.

import { abandon, post, remove, upload, watch } from "./api.js";

const { make } = atomsight;

/** Area to drop or choose files. `take` receives an array of files. */
export function dropPlace(text, take, ...more) {
  const chosen = ({ target }) => {
    if (target.files.length) take([...target.files]);
    target.value = "";
  };
  const place = make("div", { class: "drop" },
    make("strong", {}, text),
    make("label", { class: "file" }, "Choose files", make("input", { type: "file", multiple: true, onchange: chosen })),
    make("label", { class: "file" }, "Choose a folder", make("input", { type: "file", webkitdirectory: true, onchange: chosen })),
    ...more);
  place.addEventListener("dragover", (event) => {
    event.preventDefault();
    place.classList.add("over");
  });
  place.addEventListener("dragleave", () => place.classList.remove("over"));
  place.addEventListener("drop", async (event) => {
    event.preventDefault();
    place.classList.remove("over");
    const files = await dropped(event.dataTransfer);
    if (files.length) take(files);
  });
  return place;
}

/** All dropped files, including those inside folders. */
async function dropped(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry && item.webkitGetAsEntry()).filter(Boolean);
  if (!entries.some((entry) => entry.isDirectory)) return [...transfer.files];
  const files = [];
  const walk = async (entry) => {
    if (entry.isFile) {
      const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
      files.push(Object.assign(file, { place: entry.fullPath.slice(1) }));
      return;
    }
    const reader = entry.createReader();
    for (;;) {
      const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
      if (!some.length) return;
      for (const one of some) await walk(one);
    }
  };
  for (const entry of entries) await walk(entry);
  return files.sort((a, b) => a.name.localeCompare(b.name, "en", { numeric: true }));
}

/** Status line that runs one job at a time. */
export class Work {
  constructor(words) {
    this.words = words;
    this.line = make("span", { role: "status", "aria-live": "polite" });
    this.bar = make("progress", { "aria-label": "working" });
    this.stop = make("button", { type: "button", onclick: () => this.cancel() }, "Cancel");
    this.skips = make("details", { class: "skips" });
    this.element = make("div", {}, make("div", { class: "status" }, this.bar, this.line, this.stop), this.skips);
    this.job = null;
    window.addEventListener("pagehide", ({ persisted }) => {
      if (this.job && !persisted) abandon(this.job);
    });
    this.rest();
  }

  rest() {
    this.bar.hidden = this.stop.hidden = true;
  }

  tell(text, bad = false) {
    this.line.textContent = text;
    this.line.className = bad ? "bad" : "";
  }

  fail(error) {
    this.rest();
    this.tell(error.message, true);
  }

  async cancel() {
    this.sending?.abort();
    if (this.job) await post(`/api/jobs/${this.job}/cancel`, {}).catch((error) => this.fail(error));
  }

  /** Upload files or use those that `body` names, then start a job and follow it. The previous job is deleted. */
  async run(path, body, files, each) {
    const mine = (this.turn = (this.turn ?? 0) + 1);
    this.bar.hidden = false;
    this.bar.removeAttribute("value");
    this.skips.replaceChildren();
    this.skips.hidden = true;
    try {
      if (this.job) await remove(`/api/jobs/${this.job}`).catch(() => null);
      this.job = null;
      if (files) {
        const sent = (n) => this.tell(files.length > 1 ? `${n} of ${files.length} files sent` : "sending");
        this.sending?.abort(); // An upload in progress is obsolete.
        const sending = (this.sending = new AbortController());
        this.stop.hidden = false;
        body = { ...body, upload: await upload(files, sent, sending.signal) };
        if (this.sending === sending) this.sending = null;
      }
      const started = await post(path, body).catch(async (error) => {
        if (files) await remove(`/api/uploads/${body.upload}`).catch(() => null);
        throw error;
      });
      if (mine !== this.turn) {
        await remove(`/api/jobs/${started.job}`);
        return null;
      }
      this.job = started.job;
      this.stop.hidden = false;
      const last = await watch(started.job, (status) => {
        if (mine !== this.turn) return;
        const far = status.files > 1 && status.state === "running";
        if (!far && status.part) Object.assign(this.bar, { max: 1, value: status.part });
        if (far) Object.assign(this.bar, { max: status.files, value: Math.min(status.read, status.files) });
        this.tell(this.words(status) + (far ? `; file ${status.read.toLocaleString("en-GB")} of ${status.files.toLocaleString("en-GB")}` : ""));
        each?.(status);
      });
      if (mine !== this.turn) return null;
      this.rest();
      this.tell([last.state === "failed" ? "" : this.words(last), last.message].filter(Boolean).join(". "), last.state === "failed");
      return last;
    } catch (error) {
      if (mine === this.turn) this.fail(error);
      return null;
    }
  }

  tellSkips(skipped, count) {
    this.skips.hidden = !count;
    this.skips.replaceChildren(
      make("summary", {}, `${count.toLocaleString("en-GB")} skipped, with reasons`),
      make("ul", {}, ...skipped.slice(0, 500).map((one) => make("li", {}, `${one.source}: ${one.skipped}`))));
  }
}

/** A table with sorting and filter; `open` receives the index of a row when its first cell is selected. */
export function dataTable(identifier, columns, rows, { caption = "", page = 15, open = null } = {}) {
  const heads = columns.map(({ title, hint, kind }) =>
    make("th", { scope: "col", title: hint, class: kind === "text" ? null : "right" }, title));
  const element = make("div", { class: "table", id: identifier },
    make("div", { class: "tools" }),
    make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption || identifier },
      make("table", {}, caption ? make("caption", {}, caption) : null,
        make("thead", {}, make("tr", {}, ...heads)), make("tbody"))));
  const values = rows.map((row) => columns.map(({ key }) => row[key] ?? null));
  const table = new atomsight.DataTable(element, { columns, rows: values, page, opens: Boolean(open) });
  if (open) element.addEventListener("open-row", ({ detail }) => open(detail.index));
  return table;
}

/** A drawing that scrolls sideways where the window is too narrow for its letters. */
export const wide = (name, drawing) =>
  make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": name }, drawing);

/** Replace what an element holds; the focus stays on the control that took the place of the one that had it. */
export function refill(place, ...children) {
  const held = place.contains(document.activeElement) ? document.activeElement : null;
  const controls = () => [...place.querySelectorAll("button, input, select, summary, a[href], [tabindex]")];
  const alike = (one) => one.tagName === held.tagName && one.type === held.type;
  const at = held ? controls().filter(alike).indexOf(held) : -1;
  place.replaceChildren(...children.filter((child) => child !== null));
  if (at >= 0) controls().filter(alike)[at]?.focus({ preventScroll: true });
}

/** Show which row of a table is chosen, whatever page is shown. */
export function chooseRow(table, index, reveal = true) {
  const mark = () => {
    for (const row of table.body.children) {
      if (Number(row.dataset.row) === table.chosenRow) row.setAttribute("aria-current", "true");
      else row.removeAttribute("aria-current");
    }
  };
  if (table.chosenRow === undefined) table.element.addEventListener("rows-shown", mark);
  table.chosenRow = index;
  const held = table.body.contains(document.activeElement);
  if (reveal) table.reveal(index);
  if (held) table.body.querySelector(`tr[data-row="${index}"] button`)?.focus({ preventScroll: true });
  mark();
}

/** A select with a label. */
export function choice(text, options, change, value = undefined) {
  const select = make("select", { onchange: () => change(select.value) },
    ...options.map((option) => {
      const [key, name] = Array.isArray(option) ? option : [option, option];
      return make("option", { value: key, selected: key === value }, name);
    }));
  return make("label", {}, `${text} `, select);
}
