/** The benchmark: contenders take turns in slices, and the median slice counts, so that a busy moment hits all alike. */

import { gcm } from "@noble/ciphers/aes.js";
import { p256 } from "@noble/curves/nist.js";
import { secp256k1 } from "@noble/curves/secp256k1.js";
import { loadEngine } from "keyplane/engine";
import { element, make, say, wordsOf } from "./dom.js";

const SLICES = 7;
const SLICE_MS = 40;
const CONTENDERS = [
  ["wasm", "Keyplane in WebAssembly"],
  ["webcrypto", "WebCrypto, awaited"],
  ["js", "noble, plain JavaScript"],
];

function randomBytes(length) {
  return crypto.getRandomValues(new Uint8Array(length));
}

/** Prepares AES-GCM of one size: each contender seals under a key it has imported. */
async function sealing(wasm, size) {
  const [raw, plaintext, aad] = [randomBytes(32), randomBytes(size), randomBytes(32)];
  const iv = randomBytes(12);
  const key = wasm.aesGcm.importKey(raw);
  const webKey = await crypto.subtle.importKey("raw", raw, "AES-GCM", false, ["encrypt"]);
  return {
    wasm: () => wasm.aesGcm.seal(key, iv, plaintext, aad),
    webcrypto: () => crypto.subtle.encrypt({ name: "AES-GCM", iv, additionalData: aad }, webKey, plaintext),
    js: () => gcm(raw, iv, aad).encrypt(plaintext),
  };
}

async function signing(wasm, curve, noble) {
  const message = randomBytes(100);
  const { privateKey, publicKey } = await wasm.ecdsa.generateKey(curve);
  const signable = { message, hash: "SHA-256" };
  const own = wasm.ecdsa.sign(privateKey, signable, { format: "p1363" });
  const secret = noble.utils.randomSecretKey();
  const point = noble.getPublicKey(secret);
  const theirs = noble.sign(message, secret);
  const calls = {
    sign: {
      wasm: () => wasm.ecdsa.sign(privateKey, signable, { format: "p1363" }),
      js: () => noble.sign(message, secret),
    },
    verify: {
      wasm: () => wasm.ecdsa.verify(publicKey, signable, own, { format: "p1363" }),
      js: () => noble.verify(theirs, message, point),
    },
  };
  if (curve === "P-256") {
    const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
    const pair = await crypto.subtle.generateKey(algorithm, false, ["sign", "verify"]);
    const signature = await crypto.subtle.sign(algorithm, pair.privateKey, message);
    calls.sign.webcrypto = () => crypto.subtle.sign(algorithm, pair.privateKey, message);
    calls.verify.webcrypto = () => crypto.subtle.verify(algorithm, pair.publicKey, signature, message);
  }
  return calls;
}

async function operations() {
  const wasm = await loadEngine("wasm");
  const [p, k] = [await signing(wasm, "P-256", p256), await signing(wasm, "secp256k1", secp256k1)];
  return [
    ["Seal 32 bytes", await sealing(wasm, 32)],
    ["Seal 2 KiB", await sealing(wasm, 2048)],
    ["Seal 64 KiB", await sealing(wasm, 65_536)],
    ["Sign, P-256", p.sign],
    ["Verify, P-256", p.verify],
    ["Sign, secp256k1", k.sign],
    ["Verify, secp256k1", k.verify],
  ];
}

/** Calls for one slice; gives calls a second. A call that answers at once is not awaited. */
async function slice(call) {
  let count = 0;
  let batch = 1;
  const start = performance.now();
  let now = start;
  while (now - start < SLICE_MS) {
    for (let i = 0; i < batch; i++) {
      const answer = call();
      if (answer instanceof Promise) await answer;
    }
    count += batch;
    const before = now;
    now = performance.now();
    // The clock is coarse in browsers: look at it every few milliseconds at most.
    if (now - before < 4 && batch < 4096) batch *= 2;
  }
  return (count / (now - start)) * 1000;
}

function median(values) {
  return [...values].sort((a, b) => a - b)[values.length >> 1];
}

async function measure(calls) {
  const names = Object.keys(calls);
  const slices = Object.fromEntries(names.map((name) => [name, []]));
  for (const name of names) await slice(calls[name]);
  for (let i = 0; i < SLICES; i++) for (const name of names) slices[name].push(await slice(calls[name]));
  return Object.fromEntries(names.map((name) => [name, median(slices[name])]));
}

function format(rate) {
  if (rate === undefined) return "not there";
  const digits = rate >= 100 ? 0 : 1;
  return Number(rate.toPrecision(3)).toLocaleString("en", { maximumFractionDigits: digits });
}

const SVG = "http://www.w3.org/2000/svg";

function shape(name, attributes, text) {
  const made = document.createElementNS(SVG, name);
  for (const [attribute, value] of Object.entries(attributes)) made.setAttribute(attribute, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

const BAR = 13;
const TOP = 26;
const RIGHT = 78;
/** Below this the names stand above their bars instead of beside them. */
const NARROW = 520;

/** Draws bars from the lowest power of ten below every rate, at the size of the room there is. */
function chart(results, room) {
  const width = Math.max(300, Math.min(736, room));
  const isNarrow = width < NARROW;
  const left = isNarrow ? 0 : 132;
  const above = isNarrow ? 20 : 0;
  const group = 3 * BAR + 22 + above;
  const rates = results.flatMap(([, result]) => Object.values(result));
  const low = Math.floor(Math.log10(Math.min(...rates)));
  const high = Math.ceil(Math.log10(Math.max(...rates)));
  const x = (rate) => left + ((Math.log10(rate) - low) / (high - low)) * (width - left - RIGHT);
  const height = TOP + results.length * group;
  const label = `Operations a second, logarithmic: ${results
    .map(
      ([name, result]) =>
        `${name}: ${CONTENDERS.map(([id, title]) => `${title} ${format(result[id])}`).join(", ")}`,
    )
    .join("; ")}.`;
  const svg = shape("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label });
  for (let power = low; power <= high; power++) {
    const at = x(10 ** power);
    svg.append(shape("line", { class: "rule", x1: at, x2: at, y1: TOP - 8, y2: height }));
    const text = (10 ** power).toLocaleString("en");
    const anchor = at === 0 ? "start" : "middle";
    svg.append(shape("text", { class: "tick", x: at, y: 12, "text-anchor": anchor }, text));
  }
  results.forEach(([name, result], row) => {
    const top = TOP + row * group + above;
    svg.append(shape("text", { x: 0, y: isNarrow ? top - 5 : top + 1.5 * BAR + 4 }, name));
    CONTENDERS.forEach(([id], i) => {
      const y = top + i * BAR;
      const rate = result[id];
      if (rate === undefined) {
        svg.append(shape("text", { class: "value", x: left + 6, y: y + BAR - 3 }, "not there"));
        return;
      }
      const length = Math.max(1, x(rate) - left);
      svg.append(
        shape("rect", { class: `bar-${id}`, x: left, y: y + 1, width: length, height: BAR - 2, rx: 1 }),
      );
      svg.append(shape("text", { class: "value", x: left + length + 6, y: y + BAR - 3 }, format(rate)));
    });
  });
  return svg;
}

function show(results) {
  element("bench-figure").hidden = false;
  const place = element("bench-chart");
  place.replaceChildren(chart(results, place.clientWidth));
  element("bench-legend").replaceChildren(
    ...CONTENDERS.map(([id, title]) => make("span", {}, make("span", { class: `swatch bar-${id}` }), title)),
  );
  element("bench-rows").replaceChildren(
    ...results.map(([name, result]) => {
      const cell = (id) => {
        const ratio =
          id === "wasm" || result[id] === undefined ? "" : ` (${format(result.wasm / result[id])}×)`;
        return make("td", {}, `${format(result[id])}${ratio}`);
      };
      return make("tr", {}, make("th", { scope: "row" }, name), ...CONTENDERS.map(([id]) => cell(id)));
    }),
  );
}

export function wireBench() {
  const button = element("bench-run");
  let shown = [];
  addEventListener("resize", () => {
    if (shown.length > 0) show(shown);
  });
  button.addEventListener("click", async () => {
    button.disabled = true;
    try {
      const results = [];
      const all = await operations();
      for (const [name, calls] of all) {
        say("bench-status", `${name}: ${results.length + 1} of ${all.length}…`);
        results.push([name, await measure(calls)]);
        shown = results;
        show(results);
      }
      say("bench-status", "Done. In brackets: how many times as many WASM does.", "good");
    } catch (error) {
      say("bench-status", wordsOf(error), "bad");
    } finally {
      button.disabled = false;
    }
  });
}
