"use strict";
function valueOf(row, column) {
  const cell = row.cells[column];
  if (cell.dataset.value !== undefined) return Number(cell.dataset.value);
  return cell.textContent.trim().toLowerCase();
}

function sortBy(header) {
  const table = header.closest("table");
  const column = header.cellIndex;
  const text = header.classList.contains("text");
  const now = header.getAttribute("aria-sort");
  const up = now ? now === "descending" : text;
  const body = table.tBodies[0];
  const rows = Array.from(body.rows, (row, at) => [valueOf(row, column), at, row]);
  rows.sort((a, b) => {
    const order = typeof a[0] === "number" ? a[0] - b[0] : a[0].localeCompare(b[0]);
    return (up ? order : -order) || a[1] - b[1];
  });
  body.append(...rows.map((row) => row[2]));
  for (const other of header.parentNode.cells) other.removeAttribute("aria-sort");
  header.setAttribute("aria-sort", up ? "ascending" : "descending");
}

for (const button of document.querySelectorAll("button.sort")) {
  button.addEventListener("click", () => sortBy(button.closest("th")));
}

function openTarget() {
  const target = document.getElementById(location.hash.slice(1));
  if (target && target.tagName === "DETAILS") target.open = true;
}
addEventListener("hashchange", openTarget);
openTarget();

let closed = [];
addEventListener("beforeprint", () => {
  closed = Array.from(document.querySelectorAll("details:not([open])"));
  for (const one of closed) one.open = true;
});
addEventListener("afterprint", () => {
  for (const one of closed) one.open = false;
});
