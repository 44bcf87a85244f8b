"use strict";
// A click on a heading sorts the table by it; a second click turns the order round. Missing last.
for (const table of document.querySelectorAll("table.sortable")) {
  const headings = [...table.tHead.rows[0].cells];
  headings.forEach((heading, index) => {
    heading.querySelector("button").addEventListener("click", () => {
      const sign = heading.getAttribute("aria-sort") === "ascending" ? -1 : 1;
      headings.forEach((other) => other.removeAttribute("aria-sort"));
      heading.setAttribute("aria-sort", sign === 1 ? "ascending" : "descending");
      const body = table.tBodies[0];
      const value = (row) => row.cells[index].dataset.value;
      const isNumber = heading.classList.contains("number");
      const number = (row) => (value(row) === "inf" ? Infinity : value(row) === "-inf" ? -Infinity : Number(value(row)));
      const rows = [...body.rows];
      rows.sort((a, b) => {
        if (!isNumber) return sign * value(a).localeCompare(value(b));
        const x = number(a), y = number(b);
        if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) - Number.isNaN(y);
        return x === y ? 0 : sign * (x - y);
      });
      body.append(...rows);
    });
  });
}
