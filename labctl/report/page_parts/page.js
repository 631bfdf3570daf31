"use strict";
(() => {
  const by = (id) => document.getElementById(id);
  const body = by("matrix").tBodies[0];
  const headings = [...by("matrix").tHead.rows[0].cells];
  const order = ["error", "fail", "skip", "pass", ""];
  const rows = [...body.rows].map((row) => {
    const name = row.cells[0].textContent.trim();
    return {
      row,
      name,
      text: `${name} ${row.dataset.host}`.toLowerCase(),
      score: row.dataset.score === "" ? null : Number(row.dataset.score),
      verdicts: [...row.cells].slice(2).map((cell) => cell.className),
    };
  });

  // -- filtering ------------------------------------------------------------------------

  function filter() {
    const text = by("search").value.trim().toLowerCase();
    const kind = by("which").value;
    const check = by("check").value;
    const verdict = by("verdict").value;
    let shown = 0;
    for (const one of rows) {
      const came = check === "" ? one.verdicts : [one.verdicts[Number(check)]];
      const good = one.text.includes(text) && (kind === "" || one.row.dataset.kind === kind) && (verdict === "" || came.includes(verdict));
      one.row.hidden = !good;
      shown += good;
    }
    by("count").textContent = `${shown} of ${rows.length} shown`;
  }

  by("controls").addEventListener("input", filter);
  by("controls").addEventListener("submit", (event) => event.preventDefault());
  by("controls").hidden = false;

  // -- sorting --------------------------------------------------------------------------

  const names = new Intl.Collator(undefined, { numeric: true });

  function compare(key) {
    if (key === "name") return (a, b) => names.compare(a.name, b.name);
    if (key === "score") return (a, b) => (a.score ?? -1) - (b.score ?? -1);
    const at = Number(key);
    return (a, b) => order.indexOf(a.verdicts[at]) - order.indexOf(b.verdicts[at]);
  }

  by("matrix").tHead.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    const heading = button.closest("th");
    const up = heading.getAttribute("aria-sort") !== "ascending";
    for (const one of headings) one.setAttribute("aria-sort", "none");
    heading.setAttribute("aria-sort", up ? "ascending" : "descending");
    const rule = compare(button.dataset.sort);
    rows.sort((a, b) => (up ? rule(a, b) : rule(b, a)));
    body.append(...rows.map((one) => one.row));
  });

  // -- the card of a student ------------------------------------------------------------
  // Made from text nodes alone: what a VM wrote is never parsed as markup.

  function element(tag, className, ...children) {
    const made = document.createElement(tag);
    if (className) made.className = className;
    made.append(...children);
    return made;
  }

  function evidence(card, check) {
    const box = element("details", "", element("summary", "", "What was seen"));
    box.addEventListener("toggle", () => {
      if (box.open && box.childElementCount === 1) {
        for (const key of check.evidence) box.append(element("pre", "", `${key}\n${card.evidence[key]}`));
      }
    });
    return box;
  }

  function line(card, check) {
    const item = element(
      "li", "",
      element("span", `badge ${check.verdict}`, check.verdict),
      `${check.score}/${check.max} ${check.title} (${check.id})`,
    );
    if (check.told.length) {
      const list = element("dl", "");
      for (const [label, text] of check.told) list.append(element("dt", "", label), element("dd", "", text));
      item.append(list);
    }
    if (check.evidence.length) item.append(evidence(card, check));
    return item;
  }

  function show(number) {
    const card = JSON.parse(by(`card-${number}`).textContent);
    const parts = [element("p", "", card.score), element("p", "", card.facts.join(" · "))];
    if (card.error) parts.push(element("p", "error", card.error));
    if (card.hint) parts.push(element("p", "", card.hint));
    const sections = new Map();
    for (const check of card.checks) {
      if (!sections.has(check.section)) sections.set(check.section, element("ul", ""));
      sections.get(check.section).append(line(card, check));
    }
    for (const [heading, list] of sections) parts.push(element("h3", "", heading), list);
    if (card.left_out.length) {
      parts.push(element("h3", "", "Left out"), element("ul", "", ...card.left_out.map((one) => element("li", "", one))));
    }
    by("card-title").textContent = card.title;
    by("card-body").replaceChildren(...parts);
    by("card").showModal();
    by("card-title").focus();
    by("card").scrollTop = 0;
  }

  body.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-card]");
    if (button) show(button.dataset.card);
  });
  by("close").addEventListener("click", () => by("card").close());
})();
