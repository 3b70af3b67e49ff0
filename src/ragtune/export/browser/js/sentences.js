// The units (sentences, items, rows) of a span of a document. The export has cut them
// (sentences.py); one that crosses the span's border is cut there.

/** The units of `document.text[start:end]`, in order. */
export function sentences(document, start, end) {
  const { units, text } = document;
  const found = [];
  for (let n = after(units, start); n < units.length && units[n].start < end; n++) {
    const unit = units[n];
    if (unit.start >= start && unit.end <= end) found.push(unit);
    else {
      let low = Math.max(unit.start, start);
      let high = Math.min(unit.end, end);
      while (low < high && /\s/.test(text[low])) low++;
      while (low < high && /\s/.test(text[high - 1])) high--;
      if (low < high) found.push(part(document, unit, low, high));
    }
  }
  return found;
}

/** The index of the first unit that ends after `position`. */
export function after(units, position) {
  let low = 0;
  let high = units.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (units[middle].end <= position) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** A part of a unit; it has no vector of its own in the export. One object a span. */
function part(document, unit, start, end) {
  document.parts ??= new Map();
  const key = `${start}-${end}`;
  if (!document.parts.has(key)) document.parts.set(key, { ...unit, start, end, row: -1, terms: undefined });
  return document.parts.get(key);
}
