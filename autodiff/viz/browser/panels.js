// The panels beside the picture: about a node, the joins, path depth, what if, another flow; and the table of all nodes.
// Whatever a name says, it is put into the page as text.

function h(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [key, value] of Object.entries(properties)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value === true) made.setAttribute(key, "");
    else if (value !== false && value != null) made.setAttribute(key, value);
  }
  for (const child of children.flat()) if (child != null && child !== "") made.append(child);
  return made;
}

const p = (...said) => h("p", {}, ...said);
const go = (said, act, more = {}) => push(said, act, { class: "link", ...more });
const link = (id, said = null) => go(said || `${longLabel(nodes[id])} (${id})`, () => goTo(id));
const push = (said, act, more = {}) => h("button", { type: "button", onclick: act, ...more }, said);
const table = (caption, heads, rows, look = "") => h("table", { class: look || null }, h("caption", {}, caption), h("thead", {}, h("tr", {}, heads.map((head) => h("th", { scope: "col" }, head)))), h("tbody", {}, rows));
const row = (first, ...cells) => h("tr", {}, h("th", { scope: "row" }, first), cells.map((cell) => h("td", {}, cell)));

const region = (name, ...inside) => h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": name }, ...inside);
function titled(shape, said) {
  shape.append(svg("title"));
  shape.firstChild.textContent = said;
  return shape;
}

/** A share as a number and a bar; what opposes the rest goes to the other side. */
function bar(share) {
  const x = real(share);
  if (x === null || Number.isNaN(x)) return "–";
  const made = svg("svg", { width: 42, height: 8, class: "bar-mark", "aria-hidden": "true" });
  made.append(rect(0, 0, 42, 8, "ground"), rect(0, 0, min(1, abs(x)) * 42, 8, x < 0 ? "against" : "for"));
  return h("span", { class: "share" }, h("span", {}, percent(x)), made);
}

// -- about a node ------------------------------------------------------------------------------------------------------

function about(box) {
  const panel = panels.get("node");
  if (!box) {
    fill(panel, h("h2", { tabindex: "-1" }, "Nothing selected"), p("Click a box, search, or press Shift with an arrow key in the picture."));
    return;
  }
  fill(panel, ...(box.group >= 0 ? aboutScope(box) : aboutNode(box.members[0])));
}

function aboutScope(box) {
  const inside = joins.filter((join) => nodes[join.join].path.includes(box.group));
  const s = boxDelta(box);
  return [
    h("h2", { tabindex: "-1" }, scopeName(box.group)),
    p(`${groupFace(box).rows[0].said}. ${s ? `δ of its operations: ${amount(s, 6)}, by node ${extent(s)}.` : D.flow ? "No path leads from it to the output." : ""}`),
    actions(), inside.length ? joinTable(inside) : null,
    h("h3", {}, "Its nodes"),
    h("ul", { class: "plain" }, box.members.slice(0, 60).map((node) => h("li", {}, link(node.id, `${node.id} ${label(node)}`), node.delta ? `  δ ${amount(node.delta)}` : ""))),
    box.members.length > 60 ? p(`and ${box.members.length - 60} more: the table below has them all.`) : null,
  ].filter(Boolean);
}

const actions = () => h("p", { class: "actions" },
  push("Mark the paths that carry its δ", togglePaths, { "aria-pressed": String(page.paths) }), push("Only what is near", showAround));

function aboutNode(node) {
  const sent = sentTo(node);
  const facts = [
    ["Operation", node.call], ["Scope", scopeName(node.scope)], ["Shape", `${node.shape || "scalar"} ${node.dtype}`],
    ["Line", node.line ? `${T[node.line[0]]}:${node.line[1]}` : ""], ["", node.line && node.line[2] ? h("code", {}, T[node.line[2]]) : ""],
    ["State", words(node).join("; ")],
  ].filter(([, said]) => said);
  return [
    h("h2", { tabindex: "-1" }, `${label(node)}`, h("small", {}, ` node ${node.id}`)),
    h("dl", { class: "facts" }, facts.map(([name, said]) => h("div", {}, h("dt", {}, name), h("dd", {}, said)))),
    numbersTable(node), histogram(node), actions(), compared(node), contributions(node, sent), formulas(node), usedBy(node, sent),
  ].filter(Boolean);
}

function numbersTable(node) {
  const both = [node.value, node.delta];
  if (!both.some(Boolean)) return null;
  const line = (name, read) => row(name, ...both.map((s) => (s ? read(s) : "–")));
  const rows = [line("RMS", (s) => number(s.rms, 6)), line("least", (s) => number(s.min, 6)), line("greatest", (s) => number(s.max, 6))];
  if (both.some((s) => s && s.complex)) rows.unshift(line("number", (s) => amount(s)));
  rows.push(line("elements", (s) => String(s.size)));
  for (const [key, name] of [["zero", "zeros"], ["subnormal", "subnormal"], ["nan", "NaN"], ["plus", "+Inf"], ["minus", "−Inf"]]) if (both.some((s) => s && s[key])) rows.push(line(name, (s) => String(s[key])));
  return table("Numbers", ["", "value", "δ"], rows, "numbers");
}

function histogram(node) {
  const counts = N.histogram[node.id];
  if (!counts) return null;
  const most = max(...counts), s = node.delta, told = `Histogram of δ from ${number(s.min)} to ${number(s.max)}: ${counts.join(", ")}`;
  const made = svg("svg", { width: 340, height: 74, role: "img", "aria-label": told, class: "histogram" });
  counts.forEach((n, i) => {
    const end = (k) => number(s.min + ((s.max - s.min) * k) / counts.length);
    made.append(titled(rect(1 + i * 21, 56 - (54 * n) / most, 19, (54 * n) / most, "for"), `${end(i)} … ${end(i + 1)}: ${count(n, "element")}`));
  });
  made.append(rect(0, 56, 338, 1, "mark"), write(1, 70, number(s.min), 11, "muted"), write(337, 70, number(s.max), 11, "muted end"), write(169, 70, "δ, elements by size", 11, "muted mid"));
  return made;
}

function contributions(node, sent) {
  if (!D.flow || !node.delta) return null;
  const rows = sent.map((edge) => row(link(edge.to), String(edge.slot), bar(edge.projection), bar(edge.norm), number(edge.cosine), edge.delta.exact !== undefined ? number(edge.delta.exact, 6) : number(edge.delta.rms, 6)));
  if (node.output) rows.push(h("tr", {}, h("th", { scope: "row" }, "the seed: this is an output"), h("td", { colspan: 5 }, "")));
  return region("Contributions", table("What came back: the contributions to its δ", ["from", "argument", "projection share", "norm share", "cosine", "δ (RMS)"], rows, "contributions"));
}

function formulas(node) {
  if (!node.inputs.length) return null;
  const letter = (k) => (/^δ(\p{L})/u.exec(node.rules[k] || "") || [])[1] || "";
  const named = node.inputs.filter((edge) => letter(edge.slot));
  const where = named.map((edge) => `${letter(edge.slot)} = ${label(nodes[edge.from])}${nodes[edge.from].shape ? ` (${nodes[edge.from].shape})` : ""}`);
  const result = named.length && letter(named[0].slot) === letter(named[0].slot).toUpperCase() ? "Y" : "y";
  if (named.length) where.push(`${result} = this${node.shape ? ` (${node.shape})` : ""}`);
  return h("div", {}, h("h3", {}, "What it sends back, and to what"),
    h("ul", { class: "plain rules" }, node.inputs.map((edge) => h("li", {}, h("span", { class: "formula" }, node.rules[edge.slot] || "by its rule", nodes[edge.from].shape && letter(edge.slot) ? h("small", {}, ` (${nodes[edge.from].shape})`) : ""), " → ", link(edge.from)))),
    where.length ? h("p", { class: "where" }, `where ${where.join(", ")}`) : null);
}

function usedBy(node, sent) {
  const others = node.uses.filter((edge) => !sent.includes(edge));
  return others.length ? p("Read without a δ coming back: ", others.flatMap((edge, n) => [n ? ", " : "", link(edge.to)])) : null;
}

// -- joins, depth, what if ---------------------------------------------------------------------------------------------

function joinTable(some) {
  const rows = some.map((join) => row(
    link(join.join, join.block), bar(join.skipShare), bar(join.residualShare), number(join.cosine), number(join.rms),
    join.cut ? push(effect(join), () => { whatIf(join.n); tab("cuts", true); }, { class: "link", "aria-label": `${effect(join)}: what if a way into ${join.block} is cut` }) : "–", join.skip === null ? "ambiguous" : `${join.kind}${join.norm ? `, ${join.norm}-norm` : ""}`));
  return region("Joins", table("Where skip and residual branch meet", ["join", "skip share", "residual share", "cosine", "δ at fork", "skip cut", "kind"], rows, "joins"));
}

/** What is left of the δ of the first fork where the skip is cut. */
function effect(join) {
  const at = cuts.targets.indexOf(D.start);
  return join.cut.skip && at >= 0 ? factor(join.cut.skip[at], cuts.before[at]) : "see";
}

function factor(after, before) {
  if (after === -1) return "no path";
  return after === null || !before ? "–" : `×${number(after / real(before))}`;
}

const leftOut = () => partly(cuts.of.length, cuts.of.length + cuts.leftOut, "cuts", "flow.cut(skip=…)");

function fillJoins() {
  const panel = panels.get("joins");
  if (!joins.length) return fill(panel, h("h2", {}, "Joins"), p("No skip connection was found."));
  fill(panel, h("h2", {}, "Joins"),
    p(`Projection shares of the δ at the fork: they sum to one with whatever else reads the fork, and a negative one opposes the rest. “Skip cut” is what is left of δ at ${D.start == null ? "the first fork" : longLabel(nodes[D.start])}. ${leftOut()}`), joinTable(joins));
}

function fillDepth(n = 0) {
  const panel = panels.get("depth"), spectra = D.spectra || [];
  if (!spectra.length) return fill(panel, h("h2", {}, "Path depth"), p("There is no residual branch to count."));
  const spectrum = spectra[n], parts = spectrum.parts.map((part) => part.map(real)), whole = parts.reduce((sum, part) => sum + part[1], 0);
  const choice = h("select", { id: "target", onchange: (event) => { fillDepth(Number(event.target.value)); at("target").focus(); } }, spectra.map((other, i) => h("option", { value: i, selected: i === n }, longLabel(nodes[other.of]))));
  const rows = parts.map(([projection, size], k) => row(spectrum.more && k === parts.length - 1 ? `${k} or more` : String(k), bar(projection), bar(whole ? size / whole : null), number(size)));
  fill(panel, h("h2", {}, "Path depth"), p(h("label", {}, "δ of ", choice)), h("p", { class: "said" }, spectrum.told), chart(parts, whole),
    p(`Exact: the δ is split by how many residual branches its paths take, and the parts sum to it. ${partly(spectra.length, D.followed, "forks and inputs", "flow.spectrum(…)")}`),
    region("Parts", table("Parts of the δ", ["residual branches", "projection share", "norm share", "norm"], rows)));
}

/** Projection share of each part as a column, norm share as a dot. */
function chart(parts, whole) {
  const across = 372, left = 40, bottom = 150, tall = 130, step = (across - left - 4) / parts.length;
  const shares = parts.map(([projection]) => (Number.isNaN(projection) ? 0 : projection)), norms = parts.map(([, size]) => (whole ? size / whole : 0));
  const top = max(0.01, ...shares, ...norms), low = min(0, ...shares), y = (share) => bottom - ((share - low) / (top - low)) * tall;
  const made = svg("svg", { viewBox: `0 0 ${across} 186`, role: "img", "aria-label": `Shares by the number of residual branches: ${shares.map((share, k) => `${k}: ${percent(share)}`).join(", ")}`, class: "chart" });
  for (const share of [0, top / 2, top, ...(low < -top / 10 ? [low] : [])]) made.append(rect(left, y(share), across - left, 0.6, "grid"), write(left - 4, y(share) + 4, percent(share, 2), 11, "muted end"));
  const every = Math.ceil(parts.length / 11);
  parts.forEach((_, k) => {
    const x = left + 2 + k * step, high = max(0.5, abs(y(0) - y(shares[k])));
    const column = titled(rect(x + step * 0.12, min(y(0), y(shares[k])), step * 0.76, high, shares[k] < 0 ? "against" : "for"), `${k} residual branches: ${percent(shares[k])}, norm share ${percent(norms[k])}`);
    made.append(column, svg("circle", { cx: x + step / 2, cy: y(norms[k]), r: min(3, max(1.2, step / 4)), class: "dot" }));
    if (k % every === 0) made.append(write(x + step / 2, bottom + 15, String(k), 11, "muted mid"));
  });
  made.append(write((left + across) / 2, bottom + 32, "residual branches    ■ projection share    ● norm share", 11, "muted mid"));
  return made;
}

/** Where the first of the forks comes to by a cut. */
const gone = (after) => `the gradient at ${longLabel(nodes[D.start])} goes from ${number(cuts.before[cuts.targets.indexOf(D.start)])} to ${after === -1 ? "nothing: no path is left" : number(after)} (RMS of δ)`;

/** The three questions that a residual net raises; the last is about a join that can be chosen. */
function fillAnswers() {
  const sections = (D.answers || []).map(([asked, short, said], n) => h("section", {}, h("h2", {}, asked), p(short && h("b", {}, short), ` ${said}`),
    h("p", { class: "links" }, n ? [go("Mark the paths that carry it", () => showPaths(true)), go("All lengths", () => tab("depth", true))] : go("Mark the skips in the picture", () => showPaths("alone")))));
  const known = joins.filter((join) => join.cut && join.cut.skip), start = cuts.targets.indexOf(D.start);
  if (known.length) {
    const choice = h("select", { id: "skip", onchange: (event) => answer(Number(event.target.value)) }, known.map((join, n) => h("option", { value: n }, join.block))), said = h("p", { role: "status" });
    const answer = (n) => {
      const { cut } = known[n];
      choice.value = String(n);
      fill(said, h("b", {}, factor(cut.skip[start], cuts.before[start])), `: ${gone(cut.skip[start])}. ${D.least}`);
      whatIf(known[n].n);
    };
    sections.push(h("section", {}, h("h2", {}, h("label", {}, "What happens if the skip of ", choice, " is cut?")), said,
      h("p", { class: "links" }, go("Show that join", () => { goTo(known[Number(choice.value)].join); stage.focus(); }), go("All gradients", () => tab("cuts", true)))));
    answer((known.length - 1) >> 1);
  }
  fill(at("answers"), ...sections);
}

function whatIf(n) {
  const panel = panels.get("cuts"), known = joins.filter((join) => join.cut);
  if (!known.length) return fill(panel, h("h2", {}, "What if"), p("There is no join whose ways could be cut."));
  const join = joins[n]?.cut ? joins[n] : known[0];
  const choice = h("select", { id: "cut", onchange: (event) => { whatIf(Number(event.target.value)); at("cut").focus(); } }, known.map((other) => h("option", { value: other.n, selected: other === join }, other.block)));
  const start = cuts.targets.indexOf(D.start), { skip, residual } = join.cut;
  const cell = (after, i) => (after === null ? "–" : after[i] === -1 ? "no path" : `${number(after[i])}  (${factor(after[i], cuts.before[i])})`);
  const left = (after, way) => (after && start >= 0 ? `Without its ${way} ${gone(after[start])}, ${factor(after[start], cuts.before[start])}. ` : "");
  const rows = cuts.targets.map((id, i) => row(link(id), number(cuts.before[i]), cell(skip, i), cell(residual, i)));
  fill(panel, h("h2", {}, "What if"), p(h("label", {}, "A way into this join is cut: ", choice)),
    h("p", { class: "said" }, left(skip, "skip") + left(residual, "residual branch")),
    p("The values stay as they are; nothing goes back along the arrow that is cut. ", link(join.join, "Show the join"), ` ${leftOut()}${partly(cuts.targets.length, D.followed, "forks and inputs", "flow.cut(…)[…]")}`),
    region("Gradients before and after", table("RMS of δ at forks and inputs", ["node", "as it is", "skip cut", "residual cut"], rows, "cuts")));
}

// -- another flow ------------------------------------------------------------------------------------------------------

let other = null;

function fillCompare(told = "", rows = []) {
  fill(panels.get("compare"), h("h2", {}, "Compare"),
    p(h("label", {}, "Another page or .json of the same code ", h("input", { type: "file", id: "other", accept: ".html,.json", onchange: (event) => readOther(event.target.files[0]) }))),
    p("Nodes are matched by scope, name or operation, and occurrence. The file is read here and sent nowhere."),
    h("p", { class: "said", role: "status" }, told),
    rows.length ? region("Changes", table("δ here and there, the greatest change first", ["node", "here", "there", "factor"], rows, "compared")) : null);
}

async function readOther(file) {
  try {
    const found = matched(await file.text());
    other = found.there;
    const changed = found.pairs.filter(([, a, b]) => a && b).sort((p, q) => abs(Math.log(q[2] / q[1])) - abs(Math.log(p[2] / p[1])));
    fillCompare(`${count(found.pairs.length, "node is", "nodes are")} in both, ${nodes.length - found.pairs.length} only here, ${found.size - found.pairs.length} only there. ${partly(min(200, changed.length), changed.length, "changes", "flow.compare(…)")}`,
      changed.slice(0, 200).map(([id, a, b]) => row(link(id), number(a), number(b), `×${number(b / a)}`)));
    about(selected());
  } catch {
    fillCompare(`${file.name} is neither a page nor a .json of this package.`);
  }
}

/** The RMS of δ of the nodes that another document has as well. */
function matched(said) {
  const held = said.trimStart().startsWith("<") ? new DOMParser().parseFromString(said, "text/html").getElementById("data").textContent : said;
  const found = JSON.parse(held);
  let theirs;
  if (found.format === D.format) {
    const names = found.scopeRows.map(([outer, name, full], id, all) => { const path = [full ?? found.texts[name]]; for (let at = outer; at >= 0; at = all[at][0]) path.unshift(all[at][2] ?? found.texts[all[at][1]]); return path; });
    theirs = found.nodeColumns.op.map((op, id) => [found.nodeColumns.scope[id] < 0 ? [] : names[found.nodeColumns.scope[id]], found.nodeColumns.full[id] || found.texts[found.nodeColumns.name[id]] || found.texts[found.nodeColumns.ops[op][0]], statistics(found.nodeColumns["delta"][id])?.rms ?? null]);
  } else if (found.format === "autodiff picture") theirs = found["nodes"].map((node) => [node.scope, node.name || node.op, node["delta"] ? real(node["delta"].rms) : null]);
  else throw new TypeError("not of this package");
  const there = new Map(occurrences(theirs)), mine = occurrences(nodes.map((node) => [node.path.map((id) => D.scopeRows[id][2] ?? scopes[id].name), N.full[node.id] || node.name || node.op, node.delta ? node.delta.rms : null]));
  const pairs = mine.flatMap(([key, rms], id) => (there.has(key) ? [[id, rms, there.get(key)]] : []));
  return { pairs, size: theirs.length, there: new Map(pairs.map(([id, , rms]) => [id, rms])) };
}

function occurrences(all) {
  const seen = new Map();
  return all.map(([scope, what, rms]) => {
    const key = JSON.stringify([scope, what]), n = seen.get(key) || 0;
    seen.set(key, n + 1);
    return [`${key}${n}`, rms];
  });
}

function compared(node) {
  if (!other?.has(node.id) || !node.delta) return null;
  return h("p", { class: "said" }, `In the other flow: δ ${number(other.get(node.id))}, ${factor(other.get(node.id), node.delta.rms)}.`);
}

// -- the table of all nodes --------------------------------------------------------------------------------------------

const listing = { by: "id", up: true, many: 100 };
const COLUMNS = [
  ["id", "#", (node) => node.id], ["scope", "scope", (node) => scopeName(node.scope)], ["name", "name", (node) => node.name], ["call", "operation", (node) => node.call],
  ["shape", "shape", (node) => node.value?.size ?? 0], ["value", "value", (node) => node.value?.rms ?? -1], ["delta", "δ", (node) => node.delta?.rms ?? -1], ["said", "in words", (node) => node.uses.length],
];

function inWords(node) {
  const sent = sentTo(node), said = words(node);
  if (node.output) said.unshift("an output");
  if (sent.length === 1) said.push(`all its δ comes from ${longLabel(nodes[sent[0].to])}`);
  else if (sent.length) {
    const parts = [...sent].sort((a, b) => (b.norm || 0) - (a.norm || 0)), shown = parts.slice(0, 3).map((edge) => `${longLabel(nodes[edge.to])} ${percent(edge.norm, 2)}${edge.projection < 0 ? ", opposing" : ""}`);
    said.push(`its δ comes from ${shown.join("; ")}${parts.length > 3 ? ` and ${parts.length - 3} more` : ""}`);
  }
  return said.join("; ");
}

function fillListing() {
  const read = COLUMNS.find(([key]) => key === listing.by)[2];
  const keys = new Map(nodes.map((node) => [node, read(node)])), sign = listing.up ? 1 : -1;
  const sorted = [...nodes].sort((a, b) => { const [x, y] = [keys.get(a), keys.get(b)]; return sign * (x < y ? -1 : x > y ? 1 : 0) || a.id - b.id; });
  const heads = COLUMNS.map(([key, name]) => h("th", { scope: "col", "aria-sort": listing.by === key ? (listing.up ? "ascending" : "descending") : "none" },
    push(name, () => { Object.assign(listing, { up: listing.by === key ? !listing.up : key === "id" || key === "scope" || key === "name" || key === "call", by: key }); fillListing(); at(`sort-${key}`).focus(); }, { id: `sort-${key}` })));
  const rows = sorted.slice(0, listing.many).map((node) => h("tr", {}, h("td", {}, String(node.id)), h("td", {}, scopeName(node.scope)), h("td", {}, node.name), h("th", { scope: "row" }, link(node.id, node.call)),
    h("td", {}, `${node.dtype} ${node.shape}`), h("td", {}, node.value ? amount(node.value) || states(node.value) : ""), h("td", {}, node.delta ? amount(node.delta) || states(node.delta) : D.flow ? "no path" : ""), h("td", {}, inWords(node))));
  const left = nodes.length - rows.length;
  fill(at("listing"), 
    region("All nodes", h("table", { class: "nodes" }, h("caption", {}, `${rows.length} of ${count(nodes.length, "node")}; a heading sorts`), h("thead", {}, h("tr", {}, heads)), h("tbody", {}, rows))),
    left > 0 ? p(push(`Show ${min(left, 2000)} more`, () => { listing.many += min(left, 2000); fillListing(); })) : "");
}
