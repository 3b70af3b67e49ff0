// The headings above a place; as places.heading_path.

/** The headings above `position`, outermost first; one at `position` is included. */
export function headingPath(document, position) {
  const path = [];
  for (const block of document.blocks) {
    if (block.start > position) break;
    if (block.kind !== 'heading') continue;
    while (path.length && path[path.length - 1].level >= block.level) path.pop();
    path.push({ level: block.level, text: plain(document.text.slice(block.start, block.end)) });
  }
  return path.map((heading) => heading.text);
}

/** A heading as people read it: Markdown marks and underlines taken away. */
function plain(heading) {
  let line = heading.split('\n', 1)[0].trim();
  if (line.startsWith('#')) line = line.replace(/^#+/, '').replace(/#+$/, '').trim();
  line = line.replace(/!?\[([^\][]*)\]\([^()\s]*\)/g, '$1');
  if (/[*`]/.test(line)) line = line.replaceAll('**', '').replaceAll('`', '').replace(/^[* ]+|[* ]+$/g, '');
  return line;
}
