// What the page is doing: which scopes are closed, what is selected, where the reverse pass stands; keys and buttons.

const page = { view: 0, closed: new Set(), near: null, box: null, paths: false, step: 0, timer: 0 };
const NEAR = 150; // so many nodes at most are near another
const say = (told) => { at("status").textContent = told; };

// -- panels as tabs ----------------------------------------------------------------------------------------------------

const panels = new Map(), tabs = new Map();
for (const [key, name] of [["node", "Node"], ["joins", "Joins"], ["depth", "Path depth"], ["cuts", "What if"], ["compare", "Compare"]]) {
  const button = h("button", { type: "button", role: "tab", id: `tab-${key}`, "aria-controls": `panel-${key}`, "aria-selected": "false", tabindex: "-1", onclick: () => tab(key) }, name);
  const panel = h("div", { role: "tabpanel", id: `panel-${key}`, "aria-labelledby": `tab-${key}`, hidden: true });
  panels.set(key, panel), tabs.set(key, button);
  at("tabs").append(button);
  at("panels").append(panel);
}

function tab(key, focus = false) {
  for (const [name, button] of tabs) {
    const on = name === key;
    button.setAttribute("aria-selected", String(on));
    button.tabIndex = on ? 0 : -1;
    panels.get(name).hidden = !on;
  }
  if (focus) tabs.get(key).focus();
}

on("tabs", "keydown", (event) => {
  const keys = [...tabs.keys()], now = keys.findIndex((key) => tabs.get(key) === document.activeElement);
  const next = { ArrowRight: now + 1, ArrowLeft: now - 1, Home: 0, End: keys.length - 1 }[event.key];
  if (next === undefined || now < 0) return;
  event.preventDefault();
  tab(keys[(next + keys.length) % keys.length], true);
});

// -- what is shown -----------------------------------------------------------------------------------------------------

/** Draw what is open and closed now: as laid out beforehand, where it was. */
function show() {
  const selection = select(page.closed, page.near);
  if (selection.boxes.length > D.limit) {
    say(`That would be ${count(selection.boxes.length, "box", "boxes")}, more than the ${D.limit} that can be read. Close a scope, or show only what is near a node.`);
    return false;
  }
  const same = (view) => view.closed.length === page.closed.size && view.closed.every((id) => page.closed.has(id));
  const view = page.near ? -1 : D.views.findIndex(same);
  const ready = view >= 0 && D.views[view]["boxes"].length === selection.boxes.length && D.views[view].routes.length === selection.arrows.length;
  paint(selection, ready ? unpack(D.views[view]) : arrange(selection.boxes, selection.arrows, sizeOf));
  page.view = view;
  at("view").value = page.near ? "near" : view >= 0 ? String(view) : "mixed";
  at("counts").textContent = `${count(nodes.length, "node")}, ${count(edges.length, "edge")}, drawn as ${count(selection.boxes.length, "box", "boxes")} and ${count(selection.arrows.length, "arrow")}. ${page.near ? partly(page.near.size, page.near.size < NEAR ? 0 : nodes.length, "nodes", "search") : ""}`;
  mark();
  moved();
  return true;
}

/** Change what is closed; where that cannot be shown, all stays as it was. */
function change(closed, near = null) {
  const before = [page.closed, page.near];
  [page.closed, page.near] = [closed, near];
  const node = page.box ? selected()?.members[0] : null;
  if (!show()) {
    [page.closed, page.near] = before;
    at("view").value = page.near ? "near" : page.view >= 0 ? String(page.view) : "mixed";
    return false;
  }
  if (node) choose(boxOf(node.id)?.id ?? null);
  return true;
}

const selected = () => drawn.boxes.find((box) => box.id === page.box) || null;
const boxOf = (id) => drawn.boxes.find((box) => box.members.some((node) => node.id === id)) || null;

function choose(id) {
  page.box = id;
  const box = selected();
  if (!box || page.paths === "alone") page.paths = false;
  about(box);
  const can = box && (box.group >= 0 || nodes[box.members[0].id].path.length);
  at("toggle").disabled = !can;
  at("toggle").textContent = !can ? "Collapse" : box.group >= 0 ? `Expand ${scopes[box.group].name}` : `Collapse ${scopes[box.members[0].scope].name}`;
  mark();
  if (box) {
    const s = boxDelta(box);
    say(`${box.group >= 0 ? scopeName(box.group) : `${longLabel(box.members[0])}, node ${box.members[0].id}`}${s ? `: δ ${amount(s) || states(s)}` : D.flow ? ": no path to the output" : ""}`);
  }
}

/** To a node wherever it is: scopes are opened for it, if need be. */
function goTo(id) {
  if (!drawn.boxes.some((box) => box.group < 0 && box.members[0].id === id)) {
    const closed = new Set([...page.closed].filter((scope) => !nodes[id].path.includes(scope)));
    if (!change(closed) && !change(new Set(), around(id, D.hops, NEAR))) return;
    if (!page.near) reveal(boxOf(id)?.id);
    else open();
  }
  const box = boxOf(id);
  choose(box.id);
  tab("node");
  reveal(box.id);
}

function toggle() {
  const box = selected();
  if (!box) return;
  const closed = new Set(page.closed), node = box.members[0];
  if (box.group >= 0) closed.delete(box.group);
  else if (node.scope >= 0) closed.add(node.scope);
  else return;
  const named = box.group >= 0 ? scopeName(box.group) : scopeName(node.scope), shut = box.group < 0;
  if (change(closed)) {
    choose(boxOf(node.id).id);
    reveal(page.box);
    say(`${named} is ${shut ? "collapsed" : "expanded"}`);
  }
}

function showAround() {
  const box = selected();
  if (!box) return;
  if (change(new Set(), around(box.members[0].id, D.hops, NEAR))) open();
}

function togglePaths() {
  page.paths = !page.paths && Boolean(selected());
  about(selected());
  mark();
  say(page.paths ? "The paths that carry its δ are marked" : "No paths are marked");
}

/** The paths of the first answers, in the whole picture where it can be read. */
function showPaths(which) {
  change(new Set());
  choose(boxOf(D.start).id);
  page.paths = which;
  about(selected());
  mark();
  open();
  stage.focus();
  say(which === true ? "The paths that carry its δ are marked" : "The paths through skips alone are marked");
}

/** Classes for the selection, its neighbours, marked paths and the step of the reverse pass. */
function mark() {
  const box = selected(), along = page.paths === "alone" ? alone(D.start) : page.paths && box ? carried(box.members.filter((node) => node.delta && (box.group < 0 || node.uses.some((edge) => !box.members.includes(nodes[edge.to]))))) : null;
  const now = page.step ? edges[page.step - 1] : null;
  for (const [id, group] of drawn.shapes) group.classList.toggle("chosen", id === page.box);
  for (const arrow of drawn.arrows) {
    const list = drawn.curves.get(arrow.id).classList;
    list.toggle("near", Boolean(box) && (arrow.tail === box.id || arrow.head === box.id));
    list.toggle("dim", along ? arrow.edges.reduce((sum, edge) => sum + (along.get(edge.i) || 0), 0) < 0.02 : Boolean(now) && !arrow.edges.some((edge) => edge.i < page.step));
    list.toggle("now", Boolean(now) && arrow.edges.includes(now));
    arrow.tag?.classList.toggle("dim", list.contains("dim"));
  }
  if (now) {
    const ids = [boxOf(now.to)?.id, boxOf(now.from)?.id];
    for (const [id, group] of drawn.shapes) {
      group.classList.toggle("evaluated", id === ids[0] || id.startsWith(`n${now.to}u`));
      group.classList.toggle("gathering", id === ids[1]);
    }
  } else for (const group of drawn.shapes.values()) group.classList.remove("evaluated", "gathering");
}

// -- the reverse pass --------------------------------------------------------------------------------------------------

function goToStep(n) {
  page.step = min(max(n, 0), sweep);
  at("step").value = String(page.step);
  let told = "Before the first rule.";
  if (page.step) {
    const { from, to, slot, delta } = edges[page.step - 1], sent = sentTo(nodes[from]), arrived = sent.filter((edge) => edge.i < page.step).length;
    told = `Call ${page.step} of ${sweep}: ${longLabel(nodes[to])} (${to}) sends ${amount(delta) || states(delta) || "nothing"} to its argument ${slot}, ${longLabel(nodes[from])} (${from}): ${arrived} of ${count(sent.length, "contribution")} arrived.`;
    const box = boxOf(from);
    if (box) reveal(box.id);
  }
  at("told-step").textContent = told;
  at("step").setAttribute("aria-valuetext", told);
  mark();
}

function play(on) {
  clearInterval(page.timer);
  page.timer = 0;
  at("play").setAttribute("aria-pressed", String(on));
  at("play").textContent = on ? "Pause" : "Play";
  if (!on) return;
  if (page.step >= sweep) goToStep(0);
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  page.timer = setInterval(() => {
    goToStep(page.step + 1);
    if (page.step >= sweep) play(false);
  }, still ? 2000 : 500);
}

// -- search ------------------------------------------------------------------------------------------------------------

const hits = { said: "", all: [], n: -1 };

function search(said) {
  const wanted = said.trim().toLowerCase();
  hits.said = wanted;
  hits.n = -1;
  hits.all = wanted ? nodes.filter((node) => [node.name, node.call, node.op, scopeName(node.scope)].some((part) => part.toLowerCase().includes(wanted))) : [];
  at("found").textContent = wanted ? count(hits.all.length, "hit") : "";
  const found = new Set(hits.all.map((node) => node.id));
  for (const box of drawn.boxes) drawn.shapes.get(box.id).classList.toggle("hit", box.members.some((node) => found.has(node.id)));
}

function nextHit(way) {
  if (!hits.all.length) return;
  hits.n = (hits.n + way + hits.all.length) % hits.all.length;
  goTo(hits.all[hits.n].id);
  keepHits();
  at("found").textContent = `${hits.n + 1} of ${count(hits.all.length, "hit")}`;
}

function keepHits() {
  const n = hits.n;
  search(at("search").value);
  hits.n = n;
}

// -- pointer and keys --------------------------------------------------------------------------------------------------

const pointers = new Map();
let dragged = false;

on("stage", "pointerdown", (event) => {
  if (event.button) return;
  pointers.set(event.pointerId, [event.clientX, event.clientY]);
  dragged = false;
});
on("stage", "pointermove", (event) => {
  const before = pointers.get(event.pointerId);
  if (!before) return hover(event);
  const now = [event.clientX, event.clientY], [others] = [...pointers].filter(([id]) => id !== event.pointerId);
  if (!dragged && Math.hypot(now[0] - before[0], now[1] - before[1]) < 4) return;
  if (!dragged) stage.setPointerCapture(event.pointerId);
  dragged = true;
  if (others) {
    const frame = seen(), [, [x, y]] = others, far = (p) => max(1, Math.hypot(p[0] - x, p[1] - y));
    zoom(far(now) / far(before), [(now[0] + x) / 2 - frame.left, (now[1] + y) / 2 - frame.top]);
  } else {
    sight.x += now[0] - before[0];
    sight.y += now[1] - before[1];
    moved();
  }
  pointers.set(event.pointerId, now);
});
for (const kind of ["pointerup", "pointercancel"]) on("stage", kind, (event) => pointers.delete(event.pointerId));
on("stage", "pointerleave", () => { at("tip").hidden = true; });
on("stage", "click", (event) => {
  if (dragged) return;
  const group = event.target.closest("[data-kind]");
  if (group?.dataset.kind === "edge") {
    const arrow = drawn.arrows.find((one) => one.id === group.id);
    choose(arrow.tail);
  } else choose(group?.dataset.kind === "node" ? group.id : null);
  tab("node");
});
on("stage", "dblclick", toggle);
on("stage", "wheel", (event) => {
  event.preventDefault();
  const frame = seen();
  zoom(Math.exp(-max(-80, min(80, event.deltaY * (event.deltaMode ? 30 : 1))) / 250), [event.clientX - frame.left, event.clientY - frame.top]);
}, { passive: false });

function hover(event) {
  const group = event.target.closest?.("[data-kind=node],[data-kind=edge]"), tip = at("tip");
  tip.hidden = !group;
  if (!group) return;
  let told;
  if (group.dataset.kind === "node") {
    const box = drawn.boxes.find((one) => one.id === group.id), s = boxDelta(box);
    told = [box.group >= 0 ? scopeName(box.group) : `${longLabel(box.members[0])} (${box.members[0].id})`, s ? `δ ${amount(s, 6)} ${extent(s)} ${states(s)}` : "", ...(box.group < 0 ? words(box.members[0]) : [])];
  } else {
    const { edges: own } = drawn.arrows.find((one) => one.id === group.id), [edge] = own;
    told = own.length > 1 ? [`${own.length} edges`] : [`${longLabel(nodes[edge.from])} → ${longLabel(nodes[edge.to])}, argument ${edge.slot}`, edge.active ? `contribution ${amount(edge.delta, 6)}; projection share ${percent(edge.projection)}, norm share ${percent(edge.norm)}, cosine ${number(edge.cosine)}` : "no δ comes back"];
  }
  tip.textContent = told.filter(Boolean).join("\n");
  const frame = seen();
  tip.style.left = `${min(event.clientX - frame.left + 14, frame.width - tip.offsetWidth - 4)}px`;
  tip.style.top = `${min(event.clientY - frame.top + 16, frame.height - tip.offsetHeight - 4)}px`;
}

/** Along the graph by keys: to an input, a consumer, the box before or after. */
function walk(key) {
  const n = drawn.boxes.findIndex((box) => box.id === page.box);
  let to = null;
  if (n < 0) to = drawn.boxes[0];
  else if (key === "ArrowRight") to = drawn.boxes[(n + 1) % drawn.boxes.length];
  else if (key === "ArrowLeft") to = drawn.boxes[(n + drawn.boxes.length - 1) % drawn.boxes.length];
  else {
    const up = key === "ArrowUp", here = drawn.boxes[n].id, arrow = drawn.arrows.find((one) => (up ? one.head : one.tail) === here);
    to = arrow && drawn.boxes.find((box) => box.id === (up ? arrow.tail : arrow.head));
  }
  if (!to) return say(key === "ArrowUp" ? "It has no inputs" : "Nothing reads it");
  choose(to.id);
  reveal(to.id);
}

const KEYS = {
  "+": () => zoom(1.25), "=": () => zoom(1.25), "-": () => zoom(0.8), 0: fit, c: toggle, p: togglePaths, Escape: () => choose(null),
  Enter: () => { tab("node"); panels.get("node").querySelector("h2").focus(); },
  ",": () => goToStep(page.step - 1), ".": () => goToStep(page.step + 1),
};
on("stage", "keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const way = { ArrowUp: [0, 60], ArrowDown: [0, -60], ArrowLeft: [60, 0], ArrowRight: [-60, 0] }[event.key];
  if (way && event.shiftKey) walk(event.key);
  else if (way) { sight.x += way[0]; sight.y += way[1]; moved(); }
  else if (Object.hasOwn(KEYS, event.key)) KEYS[event.key]();
  else return;
  event.preventDefault();
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || /^(input|select|textarea)$/i.test(event.target.tagName)) return;
  event.preventDefault();
  at("search").focus();
});

// -- buttons -----------------------------------------------------------------------------------------------------------

on("in", "click", () => zoom(1.25));
on("out", "click", () => zoom(0.8));
on("fit", "click", fit);
on("toggle", "click", toggle);
on("search", "input", (event) => search(event.target.value));
on("search", "keydown", (event) => { if (event.key === "Enter") nextHit(event.shiftKey ? -1 : 1); });
on("step", "input", (event) => { play(false); goToStep(Number(event.target.value)); });
on("back", "click", () => { play(false); goToStep(page.step - 1); });
on("next", "click", () => { play(false); goToStep(page.step + 1); });
on("play", "click", () => play(!page.timer));
on("theme", "change", (event) => { root.dataset.theme = event.target.value; });
on("view", "change", (event) => {
  const wanted = event.target.value;
  if (wanted === "near") {
    if (change(new Set(), around(selected()?.members[0].id ?? D.open.around ?? N.outputs[0] ?? 0, D.hops, NEAR))) open();
  } else if (change(new Set(D.views[Number(wanted)].closed))) open();
});
addEventListener("resize", moved);
addEventListener("beforeprint", () => { fit(); settleSight(); });

// -- the beginning -----------------------------------------------------------------------------------------------------

at("theme").value = root.dataset.theme;
at("told").append(...D.told.map((told) => h("li", {}, told)));
at("view").append(...D.views.map((view, n) => h("option", { value: n }, view.name)), h("option", { value: "near" }, "what is near the selection"), h("option", { value: "mixed", disabled: true }, "some scopes open"));
at("reverse").hidden = !sweep;
at("step").max = String(sweep);
fillJoins();
fillDepth();
whatIf(joins.findIndex((join) => join.cut));
fillAnswers();
fillCompare();
fillListing();
if (D.open.view >= 0) page.closed = new Set(D.views[D.open.view].closed);
else page.near = around(D.open.around, D.hops, NEAR);
show();
choose(page.near ? boxOf(D.open.around)?.id ?? null : null);
tab(joins.length ? "joins" : "node");
goToStep(0);
open();
