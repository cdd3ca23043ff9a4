/** The few things this page does to its document. */

/** Finds an element that the page has. */
export function element(id) {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`The page has no #${id}.`);
  return found;
}

/** Makes an element with attributes and children; strings become text, never markup. */
export function make(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [attribute, value] of Object.entries(attributes)) made.setAttribute(attribute, value);
  made.append(...children);
  return made;
}

/** Says how something went where screen readers hear of it. */
export function say(id, message, tone = "") {
  const status = element(id);
  status.textContent = message;
  status.dataset.tone = tone;
}

/** Words an error for people: ours have a code and a message. */
export function wordsOf(error) {
  return error?.name === "KmsError" ? `${error.code}: ${error.message}` : String(error?.message ?? error);
}

export function toHex(bytes) {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Reads hexadecimal with any white space; undefined for anything else. */
export function fromHex(text) {
  const digits = text.replace(/\s/g, "");
  if (!/^([0-9a-f]{2})*$/i.test(digits)) return undefined;
  return Uint8Array.from({ length: digits.length / 2 }, (_, i) =>
    Number.parseInt(digits.slice(2 * i, 2 * i + 2), 16),
  );
}
