"""The router of an exported page, asked in the page: for the benchmark and the stored vectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

# What the router makes of texts, given with the encoder's variant, and the milliseconds of each;
# the first texts are judged twice, as code runs slowly at first.
JUDGE = """async ([texts, variant]) => {
  const at = (path) => import(new URL(path, location.href).href);
  const { load } = await at('load.js');
  const { Encoder } = await at('js/encoder.js');
  const { Embedder, Tokenizer } = await at('js/models.js');
  const { Router } = await at('js/router.js');
  const { parts } = await load(location.href, () => {});
  const json = (name) => JSON.parse(new TextDecoder().decode(parts[name]));
  const networks = json('networks.json');
  const encoder = await Encoder.create(
    await WebAssembly.compile(parts[`encoder-${variant}.wasm`]), parts['weights.bin'],
    networks.embedder);
  const router = new Router({
    weights: parts['weights.bin'], network: networks.router, encoder,
    embedder: new Embedder(encoder, new Tokenizer(json('vocabulary.json')), 256),
    passport: json('index.json').router,
  });
  for (const text of texts.slice(0, 20)) await router.judge(text);
  const found = [];
  for (const text of texts) {
    const started = performance.now();
    const judged = await router.judge(text);
    found.push({ ...judged, ms: performance.now() - started });
  }
  return found;
}"""


def by_name(judged: Mapping[str, Any], intents: Sequence[str]) -> dict[str, float]:
    """The probabilities of a page's judgement, likeliest first; its names are numbers."""
    names = {str(n): name for n, name in enumerate(intents)}
    return {names.get(name, name): p for name, p in judged["intents"]}
