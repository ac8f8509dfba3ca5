// A plain layered layout, for what was not laid out beforehand: some scopes open, others closed, or what is near a node.
// Layers by longest path; order by barycentres; places by pulling towards neighbours and pushing apart. An arrow that
// spans layers passes through a point in each, so that it does not run through boxes. From left to right it is the same
// layout on its side: layers are then columns.

const TURNED = D.direction === "LR", GAP = TURNED ? 42 : 30, POINT = 14;

function arrange(boxes, arrows, sizeOf) {
  const index = new Map(boxes.map((box, i) => [box.id, i]));
  const sizes = boxes.map(sizeOf).map(({ w, h }) => (TURNED ? { w: h, h: w } : { w, h }));
  const rise = TURNED ? max(56, ...arrows.map((arrow) => 2 * wide(look(arrow).said, SMALL) + 16)) : 56;
  const links = arrows.map((arrow) => [index.get(arrow.tail), index.get(arrow.head)]);
  const layer = layers(boxes.length, links, beneath(boxes, arrows, index));
  const places = boxes.map((box, i) => ({ layer: layer[i], w: sizes[i].w, h: sizes[i].h, up: [], down: [], x: 0, group: box.path[0] ?? -1 }));
  const chains = links.map(([a, b]) => {
    const turned = layer[a] > layer[b], [top, bottom] = turned ? [b, a] : [a, b], chain = [top];
    for (let at = layer[top] + 1; at < layer[bottom]; at++) {
      chain.push(places.length);
      places.push({ layer: at, w: POINT, h: 0, up: [], down: [], x: 0, group: places[top].group });
    }
    chain.push(bottom);
    for (let n = 1; n < chain.length; n++) {
      places[chain[n - 1]].down.push(chain[n]);
      places[chain[n]].up.push(chain[n - 1]);
    }
    return turned ? chain.reverse() : chain;
  });
  const rows = order(places);
  place(places, rows);
  let y = 0;
  for (const row of rows) {
    const tall = max(0, ...row.map((i) => places[i].h));
    for (const i of row) places[i].y = y + tall / 2;
    y += tall + rise;
  }
  return finish(boxes, arrows, places, chains);
}

/** The layer of each box: below all its inputs; a box without inputs stands just above its first use. */
function layers(size, links, wishes) {
  const after = Array.from({ length: size }, () => []), missing = new Array(size).fill(0), layer = new Array(size).fill(0);
  for (const [a, b] of links) { after[a].push(b); missing[b]++; }
  const leaves = missing.map((n) => n === 0);
  for (const [a, b] of wishes) { after[a].push(b); missing[b]++; }
  const done = new Array(size).fill(false);
  const ready = missing.flatMap((n, i) => (n ? [] : [i]));
  let left = size, scan = 0;
  while (left) {
    while (scan < size && done[scan]) scan++;
    const at = ready.length ? ready.shift() : scan; // nothing is ready: a cycle, which closing a scope can make
    if (done[at]) continue;
    done[at] = true;
    left--;
    for (const b of after[at]) {
      if (done[b]) continue;
      layer[b] = max(layer[b], layer[at] + 1);
      if (--missing[b] === 0) ready.push(b);
    }
  }
  for (let i = 0; i < size; i++) {
    const below = after[i].map((b) => layer[b]).filter((n) => n > 0);
    if (leaves[i] && below.length) layer[i] = min(...below) - 1;
  }
  return layer;
}

/** Which boxes are to stand below which others, so that scopes that follow one another stand one below the other: a leaf
 * of a scope below the last box that feeds the scope from outside and was computed before the leaf is used. */
function beneath(boxes, arrows, index) {
  const feeding = new Map(), first = new Map(), found = [], last = (box) => box.members[box.members.length - 1].id;
  const plain = (box) => box.group < 0 && leaf(box.members[0]);
  for (const arrow of arrows) {
    const tail = boxes[index.get(arrow.tail)], head = boxes[index.get(arrow.head)];
    first.set(tail, min(first.get(tail) ?? Infinity, ...arrow.edges.map((edge) => edge.to)));
    if (plain(tail)) continue;
    for (const id of head.path) {
      if (tail.path.includes(id)) continue;
      if (!feeding.has(id)) feeding.set(id, []);
      feeding.get(id).push(tail);
    }
  }
  for (const box of boxes) {
    if (!plain(box) || !first.has(box)) continue;
    const before = (feeding.get(box.path[box.path.length - 1]) || []).filter((tail) => last(tail) < first.get(box));
    if (before.length) found.push([index.get(before.reduce((a, b) => (last(b) > last(a) ? b : a)).id), index.get(box.id)]);
  }
  return found;
}

/** The places of each layer from left to right: those of a scope side by side, near what they are joined to. */
function order(places) {
  const rows = [];
  places.forEach((p, i) => (rows[p.layer] ??= []).push(i));
  for (let n = 0; n < rows.length; n++) rows[n] ??= [];
  const at = new Array(places.length).fill(0);
  const number = (row) => row.forEach((i, n) => { at[i] = n - (row.length - 1) / 2; });
  rows.forEach(number);
  for (let round = 0; round < 8; round++) {
    const down = round % 2 === 0;
    for (const row of down ? rows : [...rows].reverse()) {
      const wish = new Map(row.map((i) => {
        const near = down ? places[i].up : places[i].down;
        return [i, near.length ? near.reduce((sum, j) => sum + at[j], 0) / near.length : at[i]];
      }));
      const groups = new Map();
      for (const i of row) {
        const group = groups.get(places[i].group) || [0, 0];
        groups.set(places[i].group, [group[0] + wish.get(i), group[1] + 1]);
      }
      const middle = (i) => { const [sum, n] = groups.get(places[i].group); return places[i].group < 0 ? wish.get(i) : sum / n; };
      row.sort((a, b) => middle(a) - middle(b) || places[a].group - places[b].group || wish.get(a) - wish.get(b) || a - b);
      number(row);
    }
  }
  return rows;
}

/** Where each place stands across: in turn drawn to the mean of its neighbours, then pushed apart within its layer. */
function place(places, rows) {
  const room = (a, b) => (places[a].w + places[b].w) / 2 + GAP;
  for (const row of rows) row.forEach((i, n) => { places[i].x = n ? places[row[n - 1]].x + room(row[n - 1], i) : 0; });
  for (let round = 0; round < 24; round++) {
    for (const row of round % 2 ? [...rows].reverse() : rows) {
      const wish = row.map((i) => {
        const p = places[i], near = round % 2 ? p.down : p.up, all = near.length ? near : [...p.up, ...p.down];
        return all.length ? all.reduce((sum, j) => sum + places[j].x, 0) / all.length : p.x;
      });
      settle(row, wish, room).forEach((x, n) => { places[row[n]].x = x; });
    }
  }
}

/** The places nearest to those wished for that keep their distances: neighbours that collide move as one block. */
function settle(row, wish, room) {
  const offset = [0];
  for (let n = 1; n < row.length; n++) offset.push(offset[n - 1] + room(row[n - 1], row[n]));
  const blocks = [];
  row.forEach((_, n) => {
    blocks.push({ from: n, sum: wish[n] - offset[n], size: 1 });
    while (blocks.length > 1) {
      const b = blocks[blocks.length - 1], a = blocks[blocks.length - 2];
      if (a.sum / a.size <= b.sum / b.size) break;
      blocks.pop();
      a.sum += b.sum;
      a.size += b.size;
    }
  });
  const found = [];
  for (const { from, sum, size } of blocks) for (let n = from; n < from + size; n++) found.push(sum / size + offset[n]);
  return found;
}

/** Where arrows touch a side of their boxes: in the order of where they come from or go to, at most so far apart. */
function ports(ends, places, most) {
  const at = new Map(), found = [];
  ends.forEach(([box, next], n) => at.set(box, [...(at.get(box) || []), [n, places[next].x]]));
  for (const [box, all] of at) {
    all.sort((a, b) => a[1] - b[1] || a[0] - b[0]);
    const { x, w } = places[box], step = min(most, w / all.length);
    all.forEach(([n], k) => { found[n] = x + (k - (all.length - 1) / 2) * step; });
  }
  return found;
}

/** Boxes, curves, labels and the frames of open scopes, moved so that everything is right of and below the corner. */
function finish(boxes, arrows, places, chains) {
  const head = 8, bend = (a, b) => (b - a) * 0.45;
  const tips = ports(chains.map((chain) => [chain[chain.length - 1], chain[chain.length - 2]]), places, Infinity);
  const starts = ports(chains, places, 50);
  const whole = chains.map((chain, n) => {
    const first = places[chain[0]], last = places[chain[chain.length - 1]];
    const stops = [[starts[n], first.y + first.h / 2], ...chain.slice(1, -1).map((i) => [places[i].x, places[i].y]), [tips[n], last.y - last.h / 2 - head]];
    const route = [stops[0]];
    for (let k = 1; k < stops.length; k++) {
      const [[u, v], [x, y]] = [stops[k - 1], stops[k]];
      route.push([u, v + bend(v, y)], [x, y - bend(v, y)], [x, y]);
    }
    return [...route, [tips[n], last.y - last.h / 2]];
  });
  const beside = chains.map((chain, n) => starts[n] < places[chain[0]].x), uses = new Map();
  for (const [tail] of chains) uses.set(tail, (uses.get(tail) || 0) + 1);
  const routes = TURNED ? whole.map((route) => route.map(([x, y]) => [y, x])) : whole;
  if (TURNED) for (const p of places) Object.assign(p, { x: p.y, y: p.x, w: p.h, h: p.w });
  const labels = routes.map(([a, b, c, d], n) => {
    const along = (i) => 0.125 * a[i] + 0.375 * (b[i] + c[i]) + 0.125 * d[i];
    if (TURNED && abs(d[1] - a[1]) < 9) return [along(0), along(1) - 7, "mid"];
    if (TURNED) return [along(0) - 4, along(1) + (d[1] < a[1] ? -6 : 6), "end"];
    // beside a slope: above it where arrows part, so that two labels stand apart, else below it
    const parting = uses.get(chains[n][0]) > 1, slope = d[0] - a[0], straight = abs(slope) < 9, left = straight ? beside[n] : slope > 0 !== parting;
    return [along(0) + (left ? -5 : 5), along(1) + (straight ? 0 : parting ? -6 : 6), left ? "end" : ""];
  });
  const frames = new Map();
  boxes.forEach((box, i) => {
    const p = places[i];
    box.path.forEach((id, depth) => {
      const pad = 12 * (box.path.length - depth), f = frames.get(id) || [id, Infinity, Infinity, -Infinity, -Infinity];
      frames.set(id, [id, min(f[1], p.x - p.w / 2 - pad), min(f[2], p.y - p.h / 2 - pad - 14), max(f[3], p.x + p.w / 2 + pad), max(f[4], p.y + p.h / 2 + pad)]);
    });
  });
  const shapes = [...frames.values()].sort((a, b) => scopes[a[0]].path.length - scopes[b[0]].path.length);
  const xs = [...places.flatMap((p) => [p.x - p.w / 2, p.x + p.w / 2]), ...shapes.flatMap((f) => [f[1], f[3]])];
  const ys = [...places.flatMap((p) => [p.y - p.h / 2, p.y + p.h / 2]), ...shapes.flatMap((f) => [f[2], f[4]])];
  const [left, top] = [xs, ys].map((all) => all.reduce((a, b) => min(a, b), Infinity) - 10);
  const move = ([x, y]) => [x - left, y - top];
  return {
    boxes: boxes.map((_, i) => ({ x: places[i].x - left, y: places[i].y - top, w: places[i].w, h: places[i].h })),
    routes: routes.map((route) => route.map(move)), labels: labels.map(([x, y, anchor]) => [...move([x, y]), anchor]), anchor: "",
    frames: shapes.map(([id, a, b, c, d]) => [id, ...move([a, b]), ...move([c, d])]),
    width: xs.reduce((a, b) => max(a, b), -Infinity) - left + 10, height: ys.reduce((a, b) => max(a, b), -Infinity) - top + 10,
    engine: "layout of this page",
  };
}

/** A view that was laid out beforehand, in points. */
function unpack(view) {
  const half = (all) => all.map((x) => x / 2);
  return {
    boxes: view["boxes"].map((box) => { const [x, y, w, h] = half(box); return { x, y, w, h }; }),
    routes: view.routes.map((steps) => {
      const found = [];
      let x = 0, y = 0;
      for (let n = 0; n < steps.length; n += 2) found.push([(x += steps[n] / 2), (y += steps[n + 1] / 2)]);
      return found;
    }),
    labels: view.labels.map((at) => (at ? half(at) : null)), anchor: "mid",
    frames: view.frames.map(([id, ...frame]) => [id, ...half(frame)]),
    width: view.size[0] / 2, height: view.size[1] / 2, engine: view.engine,
  };
}
