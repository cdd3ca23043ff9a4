/** Tells what of node:crypto is really there: Bun and Deno offer the module with less behind it than Node. */

import { getCiphers, getCurves } from "node:crypto";

let ciphers: ReadonlySet<string> | undefined;
let curves: ReadonlySet<string> | undefined;

/** Tells whether a cipher can be made. */
export function hasCipher(name: string): boolean {
  ciphers ??= new Set(getCiphers());
  return ciphers.has(name);
}

/** Tells whether keys of a curve, by OpenSSL's name, can be made. */
export function hasCurve(name: string): boolean {
  curves ??= new Set(getCurves());
  return curves.has(name);
}
