// Answers and documents as elements. Whatever comes from a document or a question is put in as
// text, never as HTML.

/** An element with properties, attributes (`aria-…`, `data-…`) and children. */
export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.includes('-') || name === 'lang') made.setAttribute(name, value);
    else made[name] = value;
  }
  made.append(...children);
  return made;
}

/** `text` from `start`, with the spans of `marks` ({start, end, tag, className}) as elements. */
export function marked(text, start, marks) {
  const end = start + text.length;
  const live = marks.filter((m) => m.end > m.start && m.start < end && m.end > start);
  const cuts = [...new Set([start, end, ...live.flatMap((m) => [m.start, m.end])])]
    .filter((at) => at >= start && at <= end).sort((a, b) => a - b);
  return cuts.slice(0, -1).map((low, n) => {
    let node = document.createTextNode(text.slice(low - start, cuts[n + 1] - start));
    for (const mark of live) {
      if (mark.start <= low && cuts[n + 1] <= mark.end) {
        node = element(mark.tag, { className: mark.className }, node);
      }
    }
    return node;
  });
}

/** A citation's quote, the key sentence and the answering words marked. */
export function quotation(citation, texts, open, number) {
  const place = texts.place(citation.place);
  const source = element('button', {
    type: 'button', className: 'source', title: texts.open, onclick: () => open(citation),
  }, element('span', { className: 'marker' }, `${number}`),
  element('span', { className: 'name' }, citation.title || citation.uri),
  element('span', { className: 'place' }, `${place} · ${citation.uri}`));
  const words = marked(citation.quote, citation.start, [
    { start: citation.phrase_start, end: citation.phrase_end, tag: 'mark', className: 'phrase' },
    { start: citation.key_start, end: citation.key_end, tag: 'span', className: 'key' },
  ]);
  return element('figure', { className: 'quote' },
    element('blockquote', {}, ...words), element('figcaption', {}, source));
}

/** A list of sentences, each of which opens at its place. */
export function places(sentences, texts, open) {
  return element('ul', { className: 'places' }, ...sentences.map((s) => {
    const button = element('button', {
      type: 'button', onclick: () => open({ ...s, quote: s.text, key_start: s.start, key_end: s.end }),
    }, element('span', { className: 'snippet' }, s.text),
    element('span', { className: 'place' }, `${s.title || s.uri} · ${texts.place(s.place)}`));
    return element('li', {}, button);
  }));
}

/** Fills `target` with a document's text and marks the citation in it; the marked element. */
export function fill(target, shown, citation) {
  const marks = citation ? [
    { start: citation.phrase_start, end: citation.phrase_end, tag: 'mark', className: 'phrase' },
    { start: citation.start, end: citation.end, tag: 'mark', className: 'cited' },
  ] : [];
  const { text } = shown;
  const parts = [];
  let at = 0;
  const put = (tag, className, start, end) => {
    const piece = text.slice(start, end);
    if (piece.trim()) parts.push(element(tag, { className }, ...marked(piece, start, marks)));
  };
  for (const block of shown.blocks) {
    put('p', 'paragraph', at, block.start);
    let { start } = block;
    if (block.kind === 'heading') start += /^#+\s*/.exec(text.slice(start, block.end))?.[0].length ?? 0;
    const tag = block.kind === 'heading' ? `h${Math.min(6, Math.max(3, block.level + 2))}`
      : block.kind === 'code' ? 'pre' : 'p';
    put(tag, block.kind, start, block.end);
    at = block.end;
  }
  put('p', 'paragraph', at, text.length);
  target.replaceChildren(...parts);
  return target.querySelector('.cited');
}
