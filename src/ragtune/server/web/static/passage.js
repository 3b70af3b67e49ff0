// A document's text as elements, with a passage marked. Offsets are code points, as in the API:
// JavaScript counts UTF-16, so texts are taken apart once.

/** Pieces of `text`, which begins at offset `base`, with <mark> or <b> around the spans. */
export function pieces(text, base, spans) {
  const points = Array.isArray(text) ? text : [...text];
  const inside = spans.map(([low, high, tag]) => [Math.max(low - base, 0), Math.min(high - base, points.length), tag])
    .filter(([low, high]) => high > low);
  const cuts = [...new Set([0, points.length, ...inside.flatMap(([low, high]) => [low, high])])].sort((a, b) => a - b);
  return cuts.slice(0, -1).map((low, i) => {
    const high = cuts[i + 1];
    let node = document.createTextNode(points.slice(low, high).join(""));
    for (const [from, to, tag] of inside) {
      if (from <= low && high <= to) {
        const around = document.createElement(tag);
        around.append(node);
        node = around;
      }
    }
    return node;
  });
}

/** "Header: value | Header: value" as [header, value] pairs. */
export function cells(text) {
  const found = [];
  for (const part of text.split(" | ")) {
    const at = part.indexOf(": ");
    if (at > 0) found.push([part.slice(0, at), part.slice(at + 2)]);
    else if (found.length) found[found.length - 1][1] += ` | ${part}`;
    else found.push(["", part]);
  }
  return found;
}
