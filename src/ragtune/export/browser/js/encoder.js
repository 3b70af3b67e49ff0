// MiniLM on encoder/encoder.c: 1.8 times as fast as ONNX Runtime's WebAssembly, from the same int8
// weights (benchmarks/results/browser.md).

const WIDTH = 384;
const LAYERS = 6;
const PARTS = ['qkv', 'attended', 'wide', 'narrow'];
const LINEAR = 10;
const PAGE = 65536;

/** Whether this browser has relaxed SIMD (its int8 dot product). */
export function relaxed() {
  return WebAssembly.validate(new Uint8Array([
    0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 19, 1, 17, 0, 65, 1, 253,
    15, 65, 2, 253, 15, 65, 3, 253, 15, 253, 147, 2, 11,
  ]));
}

export class Encoder {
  /** `code` is the compiled module, `weights` the shared file, `network` says where what stands. */
  static async create(code, weights, network) {
    const instance = await WebAssembly.instantiate(code, {});
    return new Encoder(instance.exports, weights, network);
  }

  constructor(wasm, weights, network) {
    Object.assign(this, { wasm, weights, network, at: wasm.__heap_base.value });
    this.words = this.#bytes('words_quantized');
    this.positions = this.#floats('positions');
    this.difference = network.tensors['type.difference'] ? this.#floats('type.difference') : null;
    this.scale = this.#put(this.#bytes('embedded.norm.scale'));
    this.shift = this.#put(this.#bytes('embedded.norm.shift'));
    const layers = [];
    for (let n = 0; n < LAYERS; n++) layers.push(...this.#layer(`layer${n}`));
    this.layers = this.#put(Int32Array.from(layers));
    this.size = 4 * layers.length / LAYERS; // bytes of a Layer of encoder.c
    this.fields = layers;
    this.most = this.positions.length / WIDTH;
  }

  /** The same layers with the activations in two digits, of steps in `values`; for `states`. */
  stepped(values) {
    const fields = Int32Array.from(this.fields);
    for (let n = 0; n < LAYERS; n++) {
      PARTS.forEach((part, i) => {
        const at = n * this.size / 4 + (i + 1) * LINEAR - 1;
        fields[at] = bits(values[`layer${n}.${part}.product.step`]);
      });
    }
    return this.#put(fields);
  }

  /** One more layer, of another network in the same weights, for `apply`. */
  add(network, name) {
    const own = this.network;
    this.network = network;
    const address = this.#put(Int32Array.from(this.#layer(name)));
    this.network = own;
    return address;
  }

  /** What an added layer makes of `hidden`, shape (tokens, 384), flat. */
  apply(address, hidden) {
    const x = new Float32Array(this.wasm.memory.buffer, this.wasm.input(), hidden.length);
    x.set(hidden);
    this.wasm.run(address, 1, hidden.length / WIDTH);
    return x.slice();
  }

  /** The last hidden state, shape (tokens, 384), flat; `types` are 0 or 1 a token, or null. */
  async hidden(ids, types = null) {
    return (await this.states(ids, [LAYERS], types))[0];
  }

  /** The hidden states after so many layers (ascending; 0 is the embeddings), as in `hidden`. */
  async states(ids, depths, types = null, layers = this.layers) {
    const { words, positions, difference, wasm } = this;
    const { words_scale: scale, words_zero_point: zero } = this.network.values;
    const rows = Math.min(ids.length, this.most);
    const x = new Float32Array(wasm.memory.buffer, wasm.input(), rows * WIDTH);
    for (let row = 0; row < rows; row++) {
      for (let i = 0; i < WIDTH; i++) {
        let value = (words[ids[row] * WIDTH + i] - zero) * scale;
        value += positions[row * WIDTH + i];
        if (types?.[row]) value += difference[i];
        x[row * WIDTH + i] = value;
      }
    }
    wasm.start(this.scale, this.shift, rows);
    let done = 0;
    return depths.map((depth) => {
      wasm.run(layers + done * this.size, depth - done, rows);
      done = depth;
      return x.slice();
    });
  }

  /** The fields of a Layer of encoder.c. */
  #layer(name) {
    const linears = PARTS.flatMap((part) => this.#linear(`${name}.${part}`));
    const norms = ['middle.scale', 'middle.shift', 'out.scale', 'out.shift'];
    return [...linears, ...norms.map((part) => this.#put(this.#bytes(`${name}.${part}`)))];
  }

  #place(name) {
    const place = this.network.tensors[name];
    if (!place) throw new Error(`the model has no ${name}`);
    return place;
  }

  #bytes(name) {
    const { offset, length } = this.#place(name);
    return this.weights.subarray(offset, offset + length);
  }

  #floats(name) {
    return new Float32Array(this.#bytes(name).slice().buffer);
  }

  /** Takes room in the module's memory, from 16 to 16 bytes; its address. */
  #take(bytes) {
    const address = (this.at + 15) & ~15;
    this.at = address + bytes;
    const missing = this.at - this.wasm.memory.buffer.byteLength;
    if (missing > 0) this.wasm.memory.grow(Math.ceil(missing / PAGE));
    return address;
  }

  #put(values) {
    const address = this.#take(values.byteLength);
    const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    new Uint8Array(this.wasm.memory.buffer).set(bytes, address);
    return address;
  }

  /** The LINEAR fields of a Linear of encoder.c. */
  #linear(name) {
    const { shape } = this.#place(`${name}.weight_quantized`);
    const [rows, columns] = shape;
    const weights = this.#bytes(`${name}.weight_quantized`);
    const signed = new Int8Array(weights.buffer, weights.byteOffset, weights.byteLength);
    const scales = this.#floats(`${name}.weight_scale`);
    const { flips, corrections } = signs(signed, rows, columns);
    flips.forEach((flip, column) => (scales[column] *= flip));
    const packed = this.#take(rows * columns);
    const sums = this.#take(4 * columns);
    const kept = this.at;
    const source = this.#put(signed);
    const flip = this.#put(flips);
    this.wasm.pack(source, flip, rows, columns, packed, sums);
    this.at = kept; // source and flips are needed no more
    return [
      rows, columns, packed, sums, this.#put(scales), this.#put(this.#bytes(`${name}.bias`)),
      this.#put(this.#bytes(`${name}.product.node.smoothed.by`)), corrections.length / 2,
      this.#put(Int32Array.from(corrections)), bits(this.network.values[`${name}.product.step`] ?? 0),
    ];
  }
}

/** A float as its four bytes. */
function bits(value) {
  return new Int32Array(Float32Array.of(value).buffer)[0];
}

/** Which columns are negated so that none holds +64, and where one cannot be helped. */
function signs(weights, rows, columns) {
  const high = new Uint8Array(columns);
  const low = new Uint8Array(columns);
  for (let k = 0; k < rows; k++) {
    for (let column = 0; column < columns; column++) {
      const w = weights[k * columns + column];
      if (w === 64) high[column] = 1;
      else if (w === -64) low[column] = 1;
    }
  }
  const flips = Int32Array.from(high, (held, column) => (held && !low[column] ? -1 : 1));
  const corrections = [];
  for (let column = 0; column < columns; column++) {
    if (!high[column] || !low[column]) continue;
    for (let k = 0; k < rows; k++) {
      if (weights[k * columns + column] === 64) corrections.push(column, k);
    }
  }
  return { flips, corrections };
}
