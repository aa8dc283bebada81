(() => {
"use strict";
const table = document.querySelector("table.list");
if (!table) return;
const form = document.querySelector("form.filters");
const output = form.querySelector("output");
const body = table.tBodies[0];
const rows = [...body.rows];
const heads = [...table.tHead.rows[0].cells];
const keys = heads.map((head) => head.firstElementChild.dataset.sort);
const nothing = document.querySelector("p.none");
const tiles = [...document.querySelectorAll("a.tile")];
const language = document.documentElement.lang;
const number = new Intl.NumberFormat(language);
const order = new Intl.Collator(language, { numeric: true });
const filters = ["status", "type", "band", "owner"];
// Numbers where a high value is what one looks for first.
const downward = new Set(["propensity", "score", "arr", "expected"]);
// How a row carries each thing it is filtered by.
const marks = {
status: (row, value) => row.classList.contains(value),
band: (row, value) => row.classList.contains(value),
type: (row, value) => row.dataset.t === value,
owner: (row, value) => row.dataset.o === value,
};
const fold = (text) => text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
const texts = new Map();
let sorted = "rank:up";

const field = (name) => form.elements[name];
const chosen = (name) => (field(name) ? field(name).value : "");

function matches(row, wanted, words) {
  if (!wanted.every(([name, value]) => marks[name](row, value))) return false;
  if (!words.length) return true;
  if (!texts.has(row)) texts.set(row, fold(row.textContent));
  const text = texts.get(row);
  return words.every((word) => text.includes(word));
}

function filter() {
  const wanted = filters.map((name) => [name, chosen(name)]).filter(([, value]) => value !== "");
  const words = fold(field("q").value).split(/\s+/).filter(Boolean);
  let shown = 0;
  for (const row of rows) {
    const fits = matches(row, wanted, words);
    if (row.hidden === fits) row.hidden = !fits;
    shown += fits;
  }
  nothing.hidden = shown > 0;
  table.hidden = shown === 0;
  output.textContent = output.dataset.text
    .replace("{shown}", number.format(shown)).replace("{total}", number.format(rows.length));
  for (const tile of tiles) tile.setAttribute("aria-current", String(tile.dataset.status === chosen("status")));
}

// Empty cells come last, whichever way the column is sorted.
function compare(column, sign) {
  const numeric = "v" in rows[0].cells[column].dataset;
  const value = (row) => {
    const cell = row.cells[column];
    if (!numeric) return cell.textContent;
    return cell.dataset.v === "-" ? null : Number(cell.dataset.v);
  };
  const values = new Map(rows.map((row) => [row, value(row)]));
  return (a, b) => {
    const x = values.get(a), y = values.get(b);
    if (x === null || y === null) return (x === null) - (y === null);
    return sign * (numeric ? x - y : order.compare(x, y));
  };
}

function sort(key, direction) {
  const column = keys.indexOf(key);
  if (column < 0) return;
  sorted = `${key}:${direction}`;
  heads.forEach((head, i) => {
    if (i === column) head.setAttribute("aria-sort", direction === "up" ? "ascending" : "descending");
    else head.removeAttribute("aria-sort");
  });
  body.append(...rows.slice().sort(compare(column, direction === "up" ? 1 : -1)));
  const choice = field("sort");
  if ([...choice.options].some((option) => option.value === key)) choice.value = key;
}

const first = (key) => (downward.has(key) ? "down" : "up");

// The state stands in the address, so that a view can be bookmarked and sent on.
function remember() {
  const state = new URLSearchParams();
  for (const name of ["q", ...filters]) if (chosen(name)) state.set(name, chosen(name));
  if (sorted !== "rank:up") state.set("sort", sorted);
  history.replaceState(null, "", `#${state}`);
}

function recall() {
  const state = new URLSearchParams(location.hash.slice(1));
  for (const name of ["q", ...filters]) if (field(name)) field(name).value = state.get(name) || "";
  const [key, direction] = (state.get("sort") || "rank:up").split(":");
  if (`${key}:${direction}` !== sorted || !heads.some((head) => head.ariaSort)) sort(key, direction);
  filter();
}

form.addEventListener("input", (event) => {
  if (event.target.name === "sort") sort(event.target.value, first(event.target.value));
  filter();
  remember();
});
form.addEventListener("submit", (event) => event.preventDefault());
form.addEventListener("reset", () => setTimeout(() => { sort("rank", "up"); filter(); remember(); }));
table.tHead.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  const key = button.dataset.sort, [now, direction] = sorted.split(":");
  sort(key, key === now ? (direction === "up" ? "down" : "up") : first(key));
  remember();
});
for (const tile of tiles) tile.addEventListener("click", (event) => {
  event.preventDefault();
  const status = field("status"), code = tile.dataset.status;
  if (status) status.value = status.value === code ? "" : code;
  filter();
  remember();
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) return;
  event.preventDefault();
  field("q").focus();
});
addEventListener("hashchange", recall);
form.hidden = false;
recall();
})();
