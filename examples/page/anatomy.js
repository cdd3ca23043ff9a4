/** Takes a blob apart by the layout of docs/ciphertext-blob.md, [BLOB-1] to [BLOB-8]. */

import { element, make, toHex } from "./dom.js";

/** Bytes of ciphertext that are shown; the rest is counted. */
const SHOWN = 192;
const TAG_LENGTH = 16;

function uuidOf(bytes) {
  const hex = toHex(bytes);
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}

/** Lists the parts of a blob in order: kind, first byte, length, name and what it says. */
function partsOf(blob) {
  const tagStart = blob.length - TAG_LENGTH;
  const at = (start, end) => blob.subarray(start, end);
  return [
    ["head", 0, 2, "Magic", `“${String.fromCharCode(...at(0, 2))}”`],
    ["head", 2, 1, "Format version", String(blob[2])],
    ["head", 3, 1, "Algorithm", blob[3] === 2 ? "2, AES-GCM" : String(blob[3])],
    ["head", 4, 4, "Padding mode and zeros", toHex(at(4, 8))],
    ["version", 8, 16, "Key version id", uuidOf(at(8, 24))],
    ["iv", 24, 12, "IV, random", toHex(at(24, 36))],
    ["sealed", 36, tagStart - 36, "Ciphertext", `${tagStart - 36} bytes, as many as the text has`],
    ["tag", tagStart, TAG_LENGTH, "Tag, over all of it and the context", toHex(at(tagStart, blob.length))],
  ];
}

/** Shows a blob. */
export function showBlob(blob) {
  const parts = partsOf(blob);
  const cells = [];
  for (const [kind, start, length] of parts) {
    const shown = kind === "sealed" ? Math.min(length, SHOWN) : length;
    for (let i = start; i < start + shown; i++) {
      cells.push(make("span", { class: `part-${kind}` }, blob[i].toString(16).padStart(2, "0")));
    }
    if (shown < length)
      cells.push(make("span", { class: "more" }, `… ${length - shown} more bytes of ciphertext …`));
  }
  element("bytes").replaceChildren(...cells);
  element("parts").replaceChildren(
    ...parts.map(([kind, start, length, name, value]) =>
      make(
        "tr",
        {},
        make("td", {}, length === 1 ? String(start) : `${start} to ${start + length - 1}`),
        make("td", {}, make("span", { class: `swatch part-${kind}` }), name),
        make("td", {}, value),
      ),
    ),
  );
  element("blob-intro").textContent =
    `${blob.length} bytes: 52 more than the text. The key's version and the exact length are in clear; the text and the context are not.`;
  element("anatomy").hidden = false;
}
