/** The thread behind `sync-engine.ts`: runs the WebCrypto engine of dist/ and wakes the caller when a call has settled. */

import { parentPort, workerData } from "node:worker_threads";
import { loadEngine } from "../../dist/engine.js";

const { signal, port } = workerData;
const engines = [];
/** Handles by number, held weakly so that a test can have very many. */
const handles = new Map();
const numbers = new WeakMap();
const aborts = new Map();

function abortOf(call) {
  const known = aborts.get(call);
  if (known !== undefined) return known;
  const made = new AbortController();
  aborts.set(call, made);
  return made;
}

function decode(value, call) {
  if (typeof value !== "object" || value === null || ArrayBuffer.isView(value)) return value;
  if (Array.isArray(value)) return value.map((item) => decode(item, call));
  if (value.$handle !== undefined) return handles.get(value.$handle);
  if (value.$function) return () => undefined;
  if (value.$foreign) return Object.create({ byteLength: 32, curve: "P-256", destroy() {} });
  if (value.$signal) return abortOf(call).signal;
  if (value.$progress) return (progress) => parentPort.postMessage({ call, progress });
  if (value.$detached) {
    const bytes = new Uint8Array(4);
    structuredClone(bytes, { transfer: [bytes.buffer] });
    return bytes;
  }
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, decode(field, call)]));
}

function encode(value) {
  if (typeof value !== "object" || value === null || ArrayBuffer.isView(value)) return value;
  if (Array.isArray(value)) return value.map(encode);
  if (typeof value.destroy === "function") {
    let number = numbers.get(value);
    if (number === undefined) {
      number = handles.size;
      numbers.set(value, number);
      handles.set(number, value);
    }
    const { byteLength, curve, modulusBits } = value;
    return { $handle: number, $facts: JSON.parse(JSON.stringify({ byteLength, curve, modulusBits })) };
  }
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, encode(field)]));
}

const encodeError = ({ code, name, message }) => ({ error: { code, name, message } });

function methodsOf(primitive) {
  const names = new Set(Object.keys(primitive));
  for (const name of Object.getOwnPropertyNames(Object.getPrototypeOf(primitive))) names.add(name);
  return [...names].filter((name) => name !== "constructor" && typeof primitive[name] === "function");
}

async function create() {
  const engine = await loadEngine("webcrypto");
  engines.push(engine);
  const primitives = Object.entries(engine).filter(
    ([, value]) => typeof value === "object" && value !== null,
  );
  const served = primitives
    .filter(([name]) => name !== "capabilities")
    .map(([name, primitive]) => [name, methodsOf(primitive)]);
  const { build, capabilities } = engine;
  return { engine: engines.length - 1, build, capabilities, served: Object.fromEntries(served) };
}

async function run({ create: isNew, close, destroy, engine, path, args, outAt, broken, call }) {
  if (isNew) return { value: await create() };
  if (close !== undefined) return { value: engines[close].close() };
  if (destroy !== undefined) return { value: handles.get(destroy).destroy() };
  if (broken === undefined) delete globalThis.KEYPLANE_BREAK_SELF_TEST;
  else globalThis.KEYPLANE_BREAK_SELF_TEST = broken;
  const own = decode(args, call);
  const holder = path.length === 1 ? engines[engine] : engines[engine][path[0]];
  const value = encode(await holder[path.at(-1)](...own));
  const out = outAt === undefined ? undefined : own[outAt];
  return out instanceof Uint8Array ? { value, out } : { value };
}

port.on("message", async (message) => {
  port.postMessage(await run(message).catch(encodeError));
  Atomics.store(signal, 0, 1);
  Atomics.notify(signal, 0);
});

parentPort.on("message", async (message) => {
  if (message.abort !== undefined) return abortOf(message.abort).abort();
  parentPort.postMessage({ call: message.call, reply: await run(message).catch(encodeError) });
});
