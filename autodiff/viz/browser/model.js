// The data of the page, unpacked; numbers as people read them; which boxes and arrows a choice of closed scopes gives.

const at = (id) => document.getElementById(id);
const { abs, max, min } = Math;
const fill = (place, ...all) => place.replaceChildren(...all);
const on = (id, kind, act, options) => at(id).addEventListener(kind, act, options);
const D = JSON.parse(at("data").textContent);
const T = D.texts;

const real = (x) => (typeof x === "string" ? ({ nan: NaN, inf: Infinity, "-inf": -Infinity })[x] : x);

/** A number in few digits, as the static picture writes it. */
function number(x, digits = 3) {
  x = real(x);
  if (x == null) return "–";
  if (Number.isNaN(x)) return "NaN";
  if (!Number.isFinite(x)) return x > 0 ? "∞" : "−∞";
  if (x === 0) return "0";
  const [mantissa, power] = x.toExponential(digits - 1).split("e");
  const e = Number(power);
  const bare = (text) => (text.includes(".") ? text.replace(/\.?0+$/, "") : text);
  return (e < -4 || e >= digits ? `${bare(mantissa)}e${e}` : bare(x.toFixed(max(0, digits - 1 - e)))).replace(/-/g, "−");
}

/** A share in percent. */
function percent(x, digits = 3) {
  x = real(x);
  return x == null || Number.isNaN(x) ? "–" : `${number(100 * x, digits)} %`;
}

/** A share as a picture has room for it. */
const roughly = (x) => `${Math.round(100 * x)} %`.replace("-", "−");

const count = (n, what, many = `${what}s`) => `${n.toLocaleString("en").replace(/,/g, " ")} ${n === 1 ? what : many}`;

// -- nodes and edges ---------------------------------------------------------------------------------------------------

/** Statistics as an object: a lone number is itself. */
function statistics(x) {
  if (x == null) return null;
  if (!Array.isArray(x)) return { size: 1, rms: abs(x), min: x, max: x, zero: x === 0 ? 1 : 0, subnormal: 0, nan: 0, plus: 0, minus: 0, exact: x };
  const [size, rms, min, max, zero = 0, subnormal = 0, nan = 0, plus = 0, minus = 0, re, im] = x.map(real);
  const found = { size, rms, min, max, zero, subnormal, nan, plus, minus, complex: im === undefined ? null : [re, im] };
  if (size === 1 && rms !== null) found.exact = min;
  return found;
}

/** The statistics of several arrays taken together. */
function pooled(many) {
  const whole = { size: 0, zero: 0, subnormal: 0, nan: 0, plus: 0, minus: 0, rms: null, min: null, max: null };
  let square = 0, finite = 0;
  for (const s of many) {
    for (const key of ["size", "zero", "subnormal", "nan", "plus", "minus"]) whole[key] += s[key];
    if (s.rms === null) continue;
    const n = s.size - s.nan - s.plus - s.minus;
    square += s.rms * s.rms * n;
    finite += n;
    whole.min = whole.min === null ? s.rms : min(whole.min, s.rms);
    whole.max = whole.max === null ? s.rms : max(whole.max, s.rms);
  }
  if (finite) whole.rms = Math.sqrt(square / finite);
  return whole;
}

const lost = (s) => s.nan + s.plus + s.minus;
const allZero = (s) => s.size > 0 && s.zero === s.size;
/** Whether a δ has a size that belongs on the colour scale. */
const ordinary = (s) => Boolean(s && s.rms && !lost(s) && s.zero + s.subnormal < s.size);

function states(s) {
  const found = [["nan", "NaN"], ["plus", "+Inf"], ["minus", "−Inf"]].filter(([key]) => s[key]);
  if (!found.length) return "";
  if (s.size === 1) return found[0][1];
  return `${found.map(([key, word]) => `${word} ×${s[key]}`).join(", ")} of ${s.size}`;
}

function amount(s, digits = 4) {
  if (s.complex) return `${number(s.complex[0])} ${s.complex[1] < 0 ? "−" : "+"} ${number(abs(s.complex[1]))}i`;
  if (s.exact !== undefined) return number(s.exact, digits);
  if (s.rms === null) return "";
  return `${number(s.rms, max(3, digits - 1))} rms`;
}

const extent = (s) => (s.exact !== undefined || s.complex || s.min === null ? "" : `${number(s.min)} … ${number(s.max)}`);
const spread = (s) => (s.exact === undefined && !s.complex && s.min !== null && s.min === s.max ? [`all ${number(s.min)}`, ""] : [amount(s), extent(s)]);

const scopes = D.scopeRows.map(([outer, name], id) => ({ id, outer, name: T[name], path: [] }));
for (const scope of scopes) scope.path = [...(scope.outer < 0 ? [] : scopes[scope.outer].path), scope.id];
const scopeName = (id) => (id < 0 ? "" : scopes[id].path.map((s) => scopes[s].name).join("/"));

const N = D.nodeColumns;
const outputs = new Set(N.outputs), cancels = new Set(N.cancels);
const nodes = N.op.map((op, id) => {
  const [name, kind, rules] = N.ops[op];
  const [shape, dtype] = N.forms[N.form[id]];
  return {
    id, op: T[name], kind: T[kind], rules: rules.map((r) => T[r]), call: T[N.call[id]], name: T[N.name[id]],
    scope: N.scope[id], path: N.scope[id] < 0 ? [] : scopes[N.scope[id]].path, shape: T[shape], dtype: T[dtype],
    line: N.line[id] < 0 ? null : N.lines[N.line[id]], value: statistics(N.value[id]), delta: statistics(N["delta"][id]),
    output: outputs.has(id), cancels: cancels.has(id), inputs: [], uses: [],
  };
});
const leaf = (node) => node.kind === "input" || node.kind === "constant";
const label = (node) => node.name || node.call;
const longLabel = (node) => `${label(node)}${node.scope < 0 ? "" : ` in ${scopeName(node.scope)}`}`;

/** Edges in the order of the reverse sweep, then those along which no δ came. */
const edges = D.edgeColumns.from.map((from, i) => {
  const share = D.edgeColumns.shares[i];
  const edge = { i, from, to: D.edgeColumns.to[i], slot: D.edgeColumns.slot[i], active: share !== undefined, projection: 1, norm: 1, cosine: 1, delta: null };
  if (edge.active) {
    if (share === 0) edge.delta = nodes[from].delta;
    else [edge.projection, edge.norm, edge.cosine] = share.slice(0, 3).map(real), edge.delta = statistics(share[3]);
  } else edge.projection = edge.norm = edge.cosine = null;
  return edge;
});
const sweep = D.edgeColumns.shares.length;
const inOrder = [...edges].sort((a, b) => a.from - b.from || a.to - b.to || a.slot - b.slot);
for (const edge of inOrder) {
  nodes[edge.from].uses.push(edge);
  nodes[edge.to].inputs.push(edge);
}
const sentTo = (node) => node.uses.filter((edge) => edge.active);

/** One more thing that a node can be: without a path, zero, subnormal, nan, infinite. */
function words(node) {
  const found = [];
  if (D.flow && !node.delta) found.push("no path to the output");
  if (node.delta && allZero(node.delta)) found.push("δ exactly zero");
  else if (node.delta && node.delta.subnormal) found.push(`δ subnormal ×${node.delta.subnormal}`);
  if (node.delta && lost(node.delta)) found.push(`δ ${states(node.delta)}`);
  if (node.value && lost(node.value)) found.push(`value ${states(node.value)}`);
  if (node.cancels) found.push("contributions cancel");
  return found;
}

// -- boxes and arrows --------------------------------------------------------------------------------------------------

/** What is drawn when these scopes are closed; in the order in which the package itself draws it. */
function select(closed, keep = null) {
  const boxes = new Map(), owner = [];
  const hidden = (path) => { for (const id of path) if (closed.has(id)) return id; return -1; };
  for (const node of nodes) {
    if (keep && !keep.has(node.id)) { owner.push(null); continue; }
    const group = hidden(node.path);
    if (group >= 0) {
      const id = `s${group}`;
      owner.push(id);
      if (boxes.has(id)) boxes.get(id).members.push(node);
      else boxes.set(id, { id, group, members: [node], path: scopes[group].path.slice(0, -1), uses: 0 });
      continue;
    }
    const id = `n${node.id}`;
    const consumers = new Set(node.uses.filter((edge) => (edge.active || !D.flow) && (!keep || keep.has(edge.to))).map((edge) => edge.to));
    const places = new Map();
    if (leaf(node) && D.split && consumers.size >= D.split) {
      for (const edge of node.uses) {
        if (keep && !keep.has(edge.to)) continue;
        const inside = hidden(nodes[edge.to].path);
        const place = inside >= 0 ? `s${inside}` : edge.to;
        if (!places.has(place)) places.set(place, edge.to);
      }
    }
    if (D.split && places.size >= D.split) {
      owner.push(`${id}u`);
      for (const [place, to] of places) {
        const path = typeof place === "string" ? scopes[Number(place.slice(1))].path.slice(0, -1) : nodes[to].path;
        boxes.set(`${id}u${to}`, { id: `${id}u${to}`, group: -1, members: [node], path, uses: places.size });
      }
    } else {
      owner.push(id);
      boxes.set(id, { id, group: -1, members: [node], path: node.path, uses: 0 });
    }
  }
  const arrows = new Map(), first = new Map();
  for (const edge of inOrder) {
    const head = owner[edge.to];
    let tail = owner[edge.from];
    if (tail === null || head === null) continue;
    if (!boxes.has(tail)) {
      const place = `${tail} ${head}`;
      if (!first.has(place)) first.set(place, tail + edge.to);
      tail = first.get(place);
    }
    if (tail === head) continue;
    const merged = boxes.get(tail).group >= 0 || boxes.get(head).group >= 0;
    const key = merged ? `${tail} ${head}` : edge.i;
    if (arrows.has(key)) arrows.get(key).edges.push(edge);
    else arrows.set(key, { id: `e${edge.to}x${edge.slot}`, tail, head, edges: [edge], whole: null });
  }
  for (const arrow of arrows.values()) {
    const active = arrow.edges.filter((edge) => edge.active), source = nodes[arrow.edges[0].from];
    if (active.length > 1 && !source.output && active.every((edge) => edge.from === source.id) && active.length === sentTo(source).length) arrow.whole = source.delta;
  }
  return { boxes: [...boxes.values()], arrows: [...arrows.values()], owner };
}

/** The δ of a box: a node's own; of a closed scope that of its operations taken together. */
function boxDelta(box) {
  if (box.group < 0) return box.members[0].delta;
  const all = box.members.filter((node) => node.delta);
  const operations = all.filter((node) => !leaf(node));
  const found = operations.length ? operations : all;
  return found.length ? pooled(found.map((node) => node.delta)) : null;
}

/** How an arrow looks: its label, the RMS that colours it, the share that makes it wide, its state. */
function look(arrow) {
  const active = arrow.edges.filter((edge) => edge.active);
  if (!active.length) return { said: "", size: null, part: null, kind: "none" };
  const s = arrow.whole || (active.length === 1 ? active[0].delta : pooled(active.map((edge) => edge.delta)));
  const share = sharesOf(active);
  let text = allZero(s) ? "0" : states(s).split(" of ")[0] || amount(s).replace(/ rms$/, "");
  if (share !== null && share < 0.9995) text += active.length === 1 && active[0].projection < 0 ? ` (${roughly(share)}, opposes)` : ` (${roughly(share)})`;
  if (active.length > 1 && !arrow.whole) text += ` ×${active.length}`;
  const state = s.nan ? "nan" : lost(s) ? "inf" : ordinary(s) ? "" : "zero";
  return { said: text, size: state ? null : s.rms, part: share, kind: state };
}

/** The share of several edges in the sums of norms at the nodes that they leave. */
function sharesOf(active) {
  const norms = new Map();
  for (const { from, norm, delta } of active) {
    if (Number.isNaN(norm) || norm === null || delta.rms === null) return null;
    const known = norms.get(from) || [0, 0];
    known[0] += norm;
    if (norm) known[1] = max(known[1], (delta.rms * Math.sqrt(delta.size)) / norm);
    norms.set(from, known);
  }
  let whole = 0, part = 0;
  for (const [share, total] of norms.values()) whole += total, part += share * total;
  return whole ? part / whole : null;
}

/** How much of the δ of these nodes goes along each edge, towards the output: at each node in proportion to the norms. */
function carried(starts) {
  const arrived = new Map(starts.map((node) => [node.id, 1 / starts.length])), along = new Map();
  for (const node of nodes) {
    const here = arrived.get(node.id);
    if (!here) continue;
    for (const edge of sentTo(node)) {
      const part = here * (edge.norm || 0);
      along.set(edge.i, part);
      arrived.set(edge.to, (arrived.get(edge.to) || 0) + part);
    }
  }
  return along;
}

/** The edges along which the δ of a node comes back through skips alone. */
function alone(start) {
  const open = new Set(N.outputs), along = new Map(), reached = new Set([start]), crossed = new Set(joins.map((join) => `${join.join} ${join.residual}`));
  for (const edge of edges.slice(0, sweep)) {
    if (!open.has(edge.to) || crossed.has(`${edge.to} ${edge.slot}`)) continue;
    open.add(edge.from);
    along.set(edge.i, 1);
  }
  for (const edge of inOrder) if (along.has(edge.i)) if (reached.has(edge.from)) reached.add(edge.to); else along.delete(edge.i);
  return along;
}

/** The nodes within so many edges of one, either way; no more than `most`. */
function around(start, hops, most) {
  const found = new Set([start]);
  let rim = [start];
  for (let n = 0; n < hops && rim.length; n++) {
    const next = [];
    for (const id of rim) {
      for (const other of [...nodes[id].inputs.map((e) => e.from), ...nodes[id].uses.map((e) => e.to)]) {
        if (!found.has(other) && found.size < most) { found.add(other); next.push(other); }
      }
    }
    rim = next;
  }
  return found;
}

const joins = (D.joinRows || []).map(([join, fork, skip, residual, kind, norm, skipShare, residualShare, cosine, rms, block], n) => ({
  n, join, fork, skip, residual, kind: T[kind], norm: T[norm], skipShare: real(skipShare), residualShare: real(residualShare), cosine: real(cosine), rms: real(rms), block: T[block],
}));
/** What is said where not all could be computed beforehand. */
const partly = (shown, all, what, how) => (shown < all ? `${shown} of ${count(all, what, what)} shown; ${how} has any other. ` : "");
const cuts = D.cutTable || { targets: [], before: [], of: [], leftOut: 0 };
/** The RMS of δ of each target after a cut: [join, way, after]. */
for (const [n, skip, residual] of cuts.of) {
  const fill = (after) => (after ? after.map((x, i) => (x === 0 ? cuts.before[i] : x === -2 ? 0 : x)) : null);
  joins[n].cut = { skip: fill(skip), residual: fill(residual) };
}
