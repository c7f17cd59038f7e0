// The twin of `fit` in src/handlens/photos.py: a picture of any size to the square of bytes that a model
// takes. Shrinking averages areas (OpenCV's INTER_AREA), enlarging is bilinear (INTER_LINEAR), both with
// OpenCV's own arithmetic, so that a byte differs by 1 at most, and seldom.
//
// A source is {width, height, rows(y, count)}: `rows` gives `count` rows from `y` on as RGBA bytes. A huge
// photo is thus read in bands and never held as one array.

const BAND = 64; // rows read at once

// Where a photo lies in its square: `source` is the part that is used, `target` the part that it fills, px.
export function placement(width, height, size, fit) {
  const square = { x: 0, y: 0, width: size, height: size };
  if (fit === "squash") return { source: { x: 0, y: 0, width, height }, target: square };
  if (fit === "crop") {
    const side = Math.min(width, height);
    const x = Math.floor((width - side) / 2);
    const y = Math.floor((height - side) / 2);
    return { source: { x, y, width: side, height: side }, target: square };
  }
  const longer = Math.max(width, height);
  const [across, down] = [width, height].map((side) => {
    return Math.max(1, Math.floor((2 * side * size + longer) / (2 * longer)));
  });
  const x = Math.floor((size - across) / 2);
  const y = Math.floor((size - down) / 2);
  return { source: { x: 0, y: 0, width, height }, target: { x, y, width: across, height: down } };
}

// RGB bytes (size, size, 3) of a source; what the photo does not fill is black. First the sides that are too
// long shrink, then those that are too short grow.
export function fitted(source, size, fit) {
  const { source: from, target: to } = placement(source.width, source.height, size, fit);
  const between = { width: Math.min(from.width, to.width), height: Math.min(from.height, to.height) };
  const shrunk = same(between, from) ? copied(source, from) : shrink(source, from, between);
  const content = same(between, to) ? shrunk : enlarge(shrunk, between, to);
  const square = new Uint8Array(size * size * 3);
  for (let y = 0; y < to.height; y++) {
    const row = content.subarray(y * to.width * 3, (y + 1) * to.width * 3);
    square.set(row, ((to.y + y) * size + to.x) * 3);
  }
  return square;
}

const same = (a, b) => a.width === b.width && a.height === b.height;

function copied(source, from) {
  const read = rowReader(source, from);
  const copy = new Uint8Array(from.width * from.height * 3);
  for (let y = 0, i = 0; y < from.height; y++) {
    const row = read(y);
    for (let at = 0; at < row.length; at += 4, i += 3) copy.set(row.subarray(at, at + 3), i);
  }
  return copy;
}

// Which source pixels make target pixel i, and with which weights: flat lists, `first[i]` to `first[i + 1]`.
function areaTable(length, target) {
  const scale = length / target;
  const first = new Int32Array(target + 1);
  const index = [];
  const weight = [];
  for (let i = 0; i < target; i++) {
    const start = i * scale;
    const end = start + scale;
    const cell = Math.min(scale, length - start);
    const begin = Math.min(Math.ceil(start), length - 1);
    const last = Math.max(begin, Math.min(Math.floor(end), length - 1));
    first[i] = index.length;
    if (begin - start > 1e-3) push(begin - 1, (begin - start) / cell);
    for (let j = begin; j < last; j++) push(j, 1 / cell);
    if (end - last > 1e-3) push(last, Math.min(Math.min(end - last, 1), cell) / cell);
  }
  first[target] = index.length;
  return { first, index: Int32Array.from(index), weight: Float32Array.from(weight) };

  function push(j, w) {
    index.push(j);
    weight.push(w);
  }
}

function shrink(source, from, to) {
  const across = areaTable(from.width, to.width);
  const down = areaTable(from.height, to.height);
  const factor = wholeFactor(from, to);
  if (factor) across.weight.fill(1), down.weight.fill(1); // sums of whole numbers, divided once
  const line = new Float32Array(to.width * 3); // a source row, averaged across
  const sum = new Float32Array(to.width * 3);
  const small = new Uint8Array(to.width * to.height * 3);
  const read = rowReader(source, from);
  let lineOf = -1;
  for (let y = 0; y < to.height; y++) {
    sum.fill(0);
    for (let k = down.first[y]; k < down.first[y + 1]; k++) {
      if (down.index[k] !== lineOf) averageAcross(read((lineOf = down.index[k])), across, line);
      const weight = down.weight[k];
      for (let i = 0; i < sum.length; i++) sum[i] += weight * line[i];
    }
    const row = small.subarray(y * sum.length, (y + 1) * sum.length);
    if (factor) divide(sum, factor, row);
    else for (let i = 0; i < sum.length; i++) row[i] = roundHalfEven(sum[i]);
  }
  return small;
}

// The two whole numbers by which a picture shrinks, or null: OpenCV then computes with whole numbers.
function wholeFactor(from, to) {
  const x = from.width / to.width;
  const y = from.height / to.height;
  return Number.isInteger(x) && Number.isInteger(y) ? { x, y } : null;
}

function divide(sum, { x, y }, row) {
  if (x === 2 && y === 2) {
    for (let i = 0; i < sum.length; i++) row[i] = (sum[i] + 2) >> 2;
    return;
  }
  const scale = Math.fround(1 / (x * y));
  for (let i = 0; i < sum.length; i++) row[i] = roundHalfEven(Math.fround(sum[i] * scale));
}

function averageAcross(row, { first, index, weight }, line) {
  for (let x = 0, i = 0; i < line.length; x++, i += 3) {
    let r = 0;
    let g = 0;
    let b = 0;
    for (let k = first[x]; k < first[x + 1]; k++) {
      const w = weight[k];
      const at = index[k] * 4;
      r += w * row[at];
      g += w * row[at + 1];
      b += w * row[at + 2];
    }
    line[i] = r;
    line[i + 1] = g;
    line[i + 2] = b;
  }
}

// Reads single rows of a part of a source, in bands; rows must be asked for in rising order.
function rowReader(source, part) {
  let band = null;
  let start = 0;
  let end = -1;
  return (y) => {
    if (y < start || y >= end) {
      start = y;
      end = Math.min(y + BAND, part.height);
      band = source.rows(part.y + start, end - start);
    }
    const begin = ((y - start) * source.width + part.x) * 4;
    return band.subarray(begin, begin + part.width * 4);
  };
}

const ONE = 2048; // OpenCV's weights are whole numbers of 11 bits

function linearTable(length, target) {
  const scale = length / target;
  const index = new Int32Array(target);
  const weight = new Int32Array(target * 2);
  for (let i = 0; i < target; i++) {
    const at = Math.fround((i + 0.5) * scale - 0.5);
    let low = Math.floor(at);
    let part = Math.fround(at - low);
    if (low < 0) (low = 0), (part = 0);
    if (low >= length - 1) (low = length - 1), (part = 0);
    index[i] = low;
    weight[2 * i] = roundHalfEven(Math.fround(1 - part) * ONE);
    weight[2 * i + 1] = roundHalfEven(part * ONE);
  }
  return { index, weight };
}

function enlarge(rgb, from, to) {
  const across = linearTable(from.width, to.width);
  const down = linearTable(from.height, to.height);
  const stride = from.width * 3;
  const lines = Array.from({ length: from.height }, (_, y) => {
    return stretch(rgb.subarray(y * stride, (y + 1) * stride), across, to.width);
  });
  const large = new Uint8Array(to.width * to.height * 3);
  for (let y = 0; y < to.height; y++) {
    const upper = lines[down.index[y]];
    const lower = lines[Math.min(down.index[y] + 1, from.height - 1)];
    const [a, b] = down.weight.subarray(2 * y);
    const row = large.subarray(y * to.width * 3, (y + 1) * to.width * 3);
    for (let i = 0; i < row.length; i++) {
      row[i] = (((a * (upper[i] >> 4)) >> 16) + ((b * (lower[i] >> 4)) >> 16) + 2) >> 2;
    }
  }
  return large;
}

function stretch(row, { index, weight }, width) {
  const line = new Int32Array(width * 3);
  const last = row.length - 3;
  for (let x = 0; x < width; x++) {
    const left = index[x] * 3;
    const right = Math.min(left + 3, last);
    for (let c = 0; c < 3; c++) {
      line[3 * x + c] = weight[2 * x] * row[left + c] + weight[2 * x + 1] * row[right + c];
    }
  }
  return line;
}

function roundHalfEven(value) {
  const low = Math.floor(value);
  const part = value - low;
  if (part !== 0.5) return part < 0.5 ? low : low + 1;
  return low % 2 === 0 ? low : low + 1;
}
