// The picture: boxes, arrows and frames as SVG elements; the legend; moving and zooming by one transform.

const SVG = "http://www.w3.org/2000/svg";
const WIDEST = 4.5, THINNEST = 0.8, TITLE = 11, BODY = 9, SMALL = 8, INDENT = 8, TAG = 33;
const root = document.documentElement;
const stage = at("stage"), world = at("world");

function svg(tag, attributes = {}, ...children) {
  const made = document.createElementNS(SVG, tag);
  for (const [key, value] of Object.entries(attributes)) if (value != null) made.setAttribute(key, value);
  for (const child of children) if (child) made.append(child);
  return made;
}

const seen = () => stage.getBoundingClientRect();
const rect = (x, y, width, height, look, more = {}) => svg("rect", { x, y, width, height, class: look, ...more });

// -- colours -----------------------------------------------------------------------------------------------------------

const CIVIDIS = Array.from({ length: 13 }, (_, n) => getComputedStyle(root).getPropertyValue(`--cividis${n}`).trim());
const channels = (colour) => [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));

function cividis(t) {
  const place = min(max(t, 0), 1) * (CIVIDIS.length - 1), i = min(Math.floor(place), CIVIDIS.length - 2);
  const a = channels(CIVIDIS[i]), b = channels(CIVIDIS[i + 1]);
  return `#${a.map((x, n) => Math.round(x + (b[n] - x) * (place - i)).toString(16).padStart(2, "0")).join("")}`;
}

const [LOW, HIGH] = D.scale;
const colourOf = (size) => cividis((Math.log10(size) - LOW) / (HIGH - LOW));
const luminance = (colour) => channels(colour).map((c) => c / 255).map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)).reduce((sum, c, n) => sum + c * [0.2126, 0.7152, 0.0722][n], 0);
const inkOn = (colour) => (luminance(colour) > 0.179 ? "black" : "white");

// -- boxes -------------------------------------------------------------------------------------------------------------

function deltaRow(s, path) {
  if (path === null) return null;
  if (!s) return { said: "no path to the output", look: "muted italic" };
  if (!s.size) return { tag: "δ", said: "empty", band: "var(--zero)" };
  if (lost(s)) return { tag: "δ", said: states(s) + (s.rms !== null ? ` · rest ${amount(s)}` : ""), band: s.nan ? "var(--nan)" : "var(--inf)", ink: "ontint" };
  if (allZero(s)) return { tag: "δ", said: "exactly 0", band: "var(--zero)" };
  if (!ordinary(s)) return { tag: "δ", said: `${amount(s)} · subnormal`, band: "var(--zero)" };
  const band = colourOf(s.rms), [said, rest] = spread(s);
  return { tag: "δ", said, rest, band, ink: inkOn(band) };
}

/** What is written in a box: a title, shape and dtype, lines. */
function face(box) {
  if (box.group >= 0) return groupFace(box);
  const node = box.members[0], rows = [];
  let title = node.name ? (leaf(node) ? node.name : `${node.name} = ${node.call}`) : node.call;
  if (box.uses > 1) title += ` ⟲${box.uses}`;
  if (node.value) {
    const [said, rest] = spread(node.value);
    if (lost(node.value)) rows.push({ tag: "value", said: states(node.value), look: node.value.nan ? "nan" : "inf" });
    else rows.push({ tag: "value", said: node.value.size ? said : "empty", rest });
  }
  const told = deltaRow(node.delta, D.flow ? true : null);
  if (told) {
    if (box.uses > 1 && node.delta) told.rest = `${told.rest || ""}  in total`.trim();
    rows.push(told);
  }
  if (node.cancels) rows.push({ said: "contributions cancel", look: "inf italic" });
  if (node.delta && node.delta.subnormal && ordinary(node.delta)) rows.push({ said: `subnormal ×${node.delta.subnormal} of ${node.delta.size}`, look: "muted italic" });
  return { title, kind: `${node.dtype} ${node.shape}`.trim(), rows, rounded: leaf(node), heavy: node.output, dashed: D.flow && !node.delta };
}

function groupFace(box) {
  const leaves = box.members.filter(leaf).length, operations = box.members.length - leaves;
  const rows = [{ said: count(operations, "operation") + (leaves ? ` · ${count(leaves, "leaf", "leaves")}` : ""), look: "muted" }];
  const paths = (operations ? box.members.filter((node) => !leaf(node)) : box.members).map((node) => Boolean(node.delta));
  const told = deltaRow(boxDelta(box), D.flow ? true : null);
  if (told) {
    if (told.rest) told.rest += " by node";
    rows.push(told);
  }
  const without = D.flow ? paths.filter((path) => !path).length : 0;
  if (without && without < paths.length) rows.push({ said: `no path from ${without} of ${paths.length}`, look: "muted italic" });
  const inside = joins.filter((join) => nodes[join.join].path.includes(box.group));
  if (inside.length === 1 && inside[0].skipShare !== null) rows.push({ said: `skip ${roughly(inside[0].skipShare)} · residual ${roughly(inside[0].residualShare)}` });
  return { title: scopes[box.group].path.map((id) => scopes[id].name).join(" / "), kind: "", rows, rounded: false, heavy: true, dashed: D.flow && without === paths.length, group: true };
}

const ruler = document.createElement("canvas").getContext("2d");
function wide(text, size, bold = false) {
  ruler.font = `${bold ? "bold " : ""}${size}px Helvetica, Arial, "DejaVu Sans", sans-serif`;
  return ruler.measureText(text).width * 1.05;
}

function sizeOf(box) {
  const { title, kind, rows } = face(box);
  const across = [wide(title, TITLE, true) + (kind ? 14 + wide(kind, SMALL) : 0), ...rows.map((row) => (row.tag ? TAG : 0) + wide(row.said, BODY, Boolean(row.band)) + (row.rest ? 9 + wide(row.rest, BODY) : 0))];
  return { w: max(64, max(...across) + 2 * INDENT + 2), h: 21 + 15 * rows.length + (rows.length ? 2 : 0) };
}

function write(x, y, said, size, look = "") {
  const made = svg("text", { x, y, "font-size": size, class: look });
  made.textContent = said;
  return made;
}

function drawBox(box, { x, y, w, h }) {
  const shown = face(box), left = x - w / 2, top = y - h / 2, rx = shown.rounded ? 9 : 3;
  const group = svg("g", { id: box.id, "data-kind": "node", class: `box${shown.dashed ? " dashed" : ""}${shown.heavy ? " heavy" : ""}` });
  if (shown.group) group.append(rect(left + 3, top + 3, w, h, "behind", { rx }));
  group.append(rect(left, top, w, h, "outline", { rx }));
  group.append(write(left + INDENT, top + 14.5, shown.title, TITLE, "bold"));
  if (shown.kind) group.append(write(left + w - INDENT, top + 14.5, shown.kind, SMALL, "muted fine end"));
  shown.rows.forEach((row, n) => {
    const at = top + 21 + 15 * n;
    if (row.band) group.append(rect(left + 4, at, w - 8, 14, null, { rx: 3, fill: row.band }));
    const ink = row.ink || "";
    let start = left + INDENT;
    if (row.tag) {
      group.append(write(start, at + 10.2, row.tag, BODY, `${row.band ? "bold" : "muted"} fine ${ink}`));
      start += TAG;
    }
    const words = write(start, at + 10.2, row.said, BODY, `${row.look || ""}${row.band ? " bold" : ""} fine ${ink}`);
    if (row.rest) {
      const rest = svg("tspan", { dx: 9, "font-weight": "normal" });
      rest.textContent = row.rest;
      words.append(rest);
    }
    group.append(words);
  });
  return group;
}

// -- arrows ------------------------------------------------------------------------------------------------------------

const short = (x) => Math.round(x * 10) / 10;

function curve(points) {
  let said = `M${short(points[0][0])},${short(points[0][1])}`;
  for (let n = 1; n + 2 < points.length; n += 3) said += ` C${points.slice(n, n + 3).map(([x, y]) => `${short(x)},${short(y)}`).join(" ")}`;
  return said;
}

function headAt([u, v], [x, y], half) {
  const long = Math.hypot(x - u, y - v) || 1, dx = (x - u) / long, dy = (y - v) / long;
  return [[u - dy * half, v + dx * half], [x, y], [u + dy * half, v - dx * half]].map(([a, b]) => `${short(a)},${short(b)}`).join(" ");
}

function drawArrow(arrow, route) {
  const shown = look(arrow), line = route.slice(0, -1), tip = route[route.length - 1], base = line[line.length - 1], d = curve(line);
  const group = svg("g", { id: arrow.id, "data-kind": "edge", class: `arrow ${shown.kind || "sized"}` });
  if (shown.kind === "none") {
    group.append(svg("path", { d, class: "dash", "stroke-width": THINNEST }), svg("polygon", { points: headAt(base, tip, 2.6) }));
    return [group, shown];
  }
  const thick = max(THINNEST, WIDEST * min(1, shown.part ?? 1)), half = max(2.8, thick * 0.95);
  if (shown.size === null) {
    group.append(svg("path", { d, class: shown.kind === "zero" ? "dash" : null, "stroke-width": thick }), svg("polygon", { points: headAt(base, tip, half) }));
  } else {
    group.append(svg("path", { d, class: "casing", "stroke-width": thick + 1 }), svg("polygon", { points: headAt(base, tip, half) }), svg("path", { d, stroke: colourOf(shown.size), "stroke-width": thick }));
  }
  return [group, shown];
}

// -- the whole ---------------------------------------------------------------------------------------------------------

/** What can be out of sight: some things that stand near one another, where they are, how they are shown. */
let placed = [];
const TOGETHER = 16;

/** A layer of the picture, in groups that come into sight and go out of it as one: browsers pass over a hidden group. */
function layer(name, all) {
  const groups = [];
  for (let n = 0; n < all.length; n += TOGETHER) {
    const some = all.slice(n, n + TOGETHER), element = svg("g", {}, ...some.map(([one]) => one));
    const frame = [0, 1, 2, 3].map((side) => (side < 2 ? min : max)(...some.map(([, sides]) => sides[side])));
    placed.push({ element, frame, look: "" });
    groups.push(element);
  }
  return svg("g", { class: name }, ...groups);
}

const bounds = (points) => { const xs = points.map(([x]) => x), ys = points.map(([, y]) => y); return [min(...xs), min(...ys), max(...xs), max(...ys)]; };

const drawn = { boxes: [], arrows: [], owner: [], shapes: new Map(), curves: new Map(), spots: new Map(), width: 1, height: 1 };

function paint(selection, layout) {
  at("tip").hidden = true;
  drawn.shapes.clear(), drawn.curves.clear(), drawn.spots.clear();
  const arrows = [], tags = [];
  placed = [];
  const frames = layout.frames.map(([id, left, top, right, bottom]) => {
    const group = svg("g", { "data-kind": "scope", "data-scope": id, class: "scope" });
    group.append(rect(left, top, right - left, bottom - top, null, { rx: 6 }), write(left + 8, top + 14, scopes[id].name, BODY, "muted bold"));
    return [group, [left, top, right, bottom]];
  });
  selection.arrows.forEach((arrow, n) => {
    const [group, shown] = drawArrow(arrow, layout.routes[n]);
    arrow.looks = shown;
    arrows.push([group, bounds(layout.routes[n])]);
    drawn.curves.set(arrow.id, group);
    const at = layout.labels[n];
    if (!shown.said || !at) return;
    arrow.tag = write(at[0], at[1] + 3, shown.said, SMALL, `tag fine ${shown.kind} ${at[2] ?? layout.anchor}`);
    tags.push([arrow.tag, [at[0], at[1], at[0], at[1]]]);
  });
  const boxes = selection.boxes.map((box, n) => {
    const group = drawBox(box, layout.boxes[n]);
    drawn.shapes.set(box.id, group);
    drawn.spots.set(box.id, layout.boxes[n]);
    const { x, y, w, h } = layout.boxes[n];
    return [group, [x - w / 2, y - h / 2, x + w / 2, y + h / 2]];
  });
  fill(world, layer("scopes", frames), layer("arrows", arrows), layer("tags", tags), layer("boxes", boxes));
  Object.assign(drawn, selection, { width: layout.width, height: layout.height });
  at("stage-about").textContent =
    `${count(nodes.length, "node")} and ${count(edges.length, "edge")}, drawn as ${count(selection.boxes.length, "box", "boxes")} and ${count(selection.arrows.length, "arrow")}. The table below says the same in words.`;
  legend(layout);
}

const sight = { x: 0, y: 0, k: 1 };
let asked = 0;

/** Put the transform in force, once a frame, and leave out what is out of sight. */
function settleSight() {
  asked = 0;
  world.setAttribute("transform", `translate(${short(sight.x)} ${short(sight.y)}) scale(${sight.k.toPrecision(5)})`);
  const { width, height } = seen(), far = 80; // letters are laid out anew at every scale: only those in sight
  const left = (-far - sight.x) / sight.k, top = (-far - sight.y) / sight.k, right = (width + far - sight.x) / sight.k, bottom = (height + far - sight.y) / sight.k;
  const near = sight.k < 0.2 ? "far afar" : sight.k < 0.42 ? "far" : "";
  for (const item of placed) {
    const [a, b, c, d] = item.frame, look = c > left && a < right && d > top && b < bottom ? near : "gone";
    if (look !== item.look) item.element.setAttribute("class", (item.look = look));
  }
}
function moved() {
  if (!asked) asked = requestAnimationFrame(settleSight);
}

function zoom(factor, at = null) {
  const { width, height } = seen(), [x, y] = at || [width / 2, height / 2];
  const k = min(8, max(0.01, sight.k * factor)), by = k / sight.k;
  Object.assign(sight, { x: x - (x - sight.x) * by, y: y - (y - sight.y) * by, k });
  moved();
}

function fit() {
  const { width, height } = seen();
  if (!width) return;
  const k = min(2, (width - 24) / drawn.width, (height - 24) / drawn.height);
  Object.assign(sight, { k, x: (width - drawn.width * k) / 2, y: (height - drawn.height * k) / 2 });
  moved();
}

/** All of it where it can be read so; else its beginning at a size that can. */
function open() {
  fit();
  if (sight.k >= 0.6) return;
  const { width, height } = seen();
  const k = min(1.1, max(0.75, width / drawn.width, height / drawn.height));
  const first = drawn.spots.get(drawn.boxes.find((box) => box.members.some((node) => node.id === (D.start ?? 0)))?.id) || { x: drawn.width / 2, y: 0 };
  const begin = (room, whole, at) => (whole * k < room ? (room - whole * k) / 2 : min(12, max(room - whole * k - 12, room / 3 - at * k)));
  Object.assign(sight, { k, x: begin(width, drawn.width, first.x), y: begin(height, drawn.height, first.y) });
  moved();
}

/** Bring a box into view, if it is not. */
function reveal(id) {
  const place = drawn.spots.get(id);
  if (!place) return;
  const { width, height } = seen();
  if (sight.k < 0.6) sight.k = 0.9;
  const x = place.x * sight.k + sight.x, y = place.y * sight.k + sight.y;
  if (x < 60 || y < 40 || x > width - 60 || y > height - 40) Object.assign(sight, { x: width / 2 - place.x * sight.k, y: height / 2 - place.y * sight.k });
  moved();
}

// -- legend ------------------------------------------------------------------------------------------------------------

const power = (n) => `10${String(n).replace(/./g, (sign) => "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"["-0123456789".indexOf(sign)])}`;

function legend(layout) {
  const box = at("legend"), parts = [];
  if (D.flow) {
    const key = svg("svg", { viewBox: "0 0 430 40", width: 430, role: "img", "aria-label": `Colour: RMS of δ, from ${power(LOW)} to ${power(HIGH)}. Width: share of the sum of norms.` });
    key.append(write(1, 9, "colour: RMS of δ", 10, "muted"));
    for (let n = 0; n < 48; n++) key.append(rect(1 + n * 4, 14, 4.2, 9, null, { fill: cividis((n + 0.5) / 48) }));
    const step = max(1, Math.ceil((HIGH - LOW) / 4.5));
    for (let tick = Math.ceil(LOW); tick <= Math.floor(HIGH); tick += step) {
      const x = 1 + ((tick - LOW) / (HIGH - LOW)) * 192;
      key.append(rect(min(x, 192), 23, 1, 3, "mark"), write(x, 37, power(tick), 10, `muted ${x < 12 ? "" : x > 180 ? "end" : "mid"}`));
    }
    key.append(write(225, 9, "width: share of Σ‖δᵢ‖ where δ divides", 10, "muted"));
    [0.1, 0.5, 1].forEach((share, n) => key.append(rect(225 + 62 * n, 18 - WIDEST * share / 2, 26, max(THINNEST, WIDEST * share) + 1, "mark"), write(238 + 62 * n, 37, percent(share), 10, "muted mid")));
    parts.push(key);
  }
  const said = document.createElement("p"), has = (state) => drawn.arrows.some((arrow) => arrow.looks.kind === state);
  said.textContent = [
    D.flow ? "Arrows follow the computation. The number on an arrow is the δ that came back along it (of an array the RMS), with its share of Σ‖δᵢ‖ where δ divides." : "Arrows follow the computation.",
    D.flow && nodes.some((node) => !node.delta) ? "Dashed box: no path leads from it to the output." : "",
    D.flow && has("none") ? "Dashed arrow: no δ comes back." : "",
    has("zero") ? "Dashed grey arrow with a number: a δ of zero, or subnormal." : "",
    drawn.boxes.some((shown) => shown.uses > 1) ? "⟲n: drawn n times, once for each use." : "",
    `Layout: ${layout.engine}.`,
  ].filter(Boolean).join(" ");
  fill(box, ...parts, said);
}
