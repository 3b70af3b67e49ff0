// Quoted answers with their citations; as cite.quote.

/** The evidence's quotes as an answer: verbatim spans, each with its marker. */
export function quote(evidence) {
  const citations = evidence.quotes.map(({ span, key_start, key_end }, n) => ({
    marker: n + 1, uri: span.uri, title: span.title, quote: span.text, start: span.start,
    end: span.end, place: span.place, sha256: span.sha256, key_start, key_end,
    phrase_start: span.phrase_start, phrase_end: span.phrase_end,
  }));
  const text = citations.map((c) => `${c.quote} [${c.marker}]`).join('\n\n');
  return { text, citations, status: 'cited' };
}
