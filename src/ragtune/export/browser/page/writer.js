// The language model in the page: wllama with the exported GGUF file, loaded when it is asked for.

import { prompt, verify } from './js/prompting.js';
import { fetched } from './load.js';

let loading = null;

async function model(about, base, report) {
  const { Wllama } = await import('./vendor/wllama.js');
  const bytes = await fetched(about, base, report);
  const wasm = await fetched({ ...about.wasm, packed: true }, base, () => {});
  const url = URL.createObjectURL(new Blob([wasm], { type: 'application/wasm' }));
  const made = new Wllama({ default: url }, { suppressNativeLog: true });
  await made.loadModel([new Blob([bytes])], { n_ctx: about.context });
  return made;
}

/** Writes from the evidence of `answer`; the sentences that it supports: [{text, source}, …].
 *
 * `report(done, total)` counts the model's bytes, `say(text)` gets what is written so far.
 */
export async function write(question, answer, about, base, report, say) {
  loading ??= model(about, base, report);
  loading.catch(() => (loading = null));
  const wllama = await loading;
  let written = '';
  await wllama.createChatCompletion({
    messages: prompt(question, answer, about.sentences),
    max_tokens: about.max_tokens, temperature: 0, stream: true,
    onData: (chunk) => {
      written += chunk.choices[0]?.delta?.content ?? '';
      say(written);
    },
  });
  return verify(written, answer, about.sentences, about.fixed);
}
