// Which of several documents is an older version of another one; as versions.py. What each
// document says of its version was read at export: {name, from (ISO date or null), number}.

/** The ids of those `documents` that another of them replaces on the ISO date `today`. */
export function superseded(documents, today) {
  const found = new Set();
  for (const old of documents) {
    for (const other of documents) {
      const same = old.id !== other.id && old.version.name && old.version.name === other.version.name;
      if (same && replaces(other.version, old.version, today)) found.add(old.id);
    }
  }
  return found;
}

function replaces(newer, older, today) {
  if (newer.from && newer.from > today) return false;
  if (newer.from && older.from) return newer.from > older.from;
  if (!newer.number.length || !older.number.length) return false;
  for (let i = 0; i < Math.min(newer.number.length, older.number.length); i++) {
    if (newer.number[i] !== older.number[i]) return newer.number[i] > older.number[i];
  }
  return newer.number.length > older.number.length;
}
