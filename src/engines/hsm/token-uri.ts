/** Reads `pkcs11:` URIs (RFC 7512) as far as they name a token and its module. */

import { ensure, KmsError } from "../../errors.ts";
import type { TokenSelector } from "./addon.ts";

export interface TokenUri {
  readonly token: TokenSelector;
  /** `module-path`. */
  readonly library: string | undefined;
}

const TOKEN_ATTRIBUTES: Readonly<Record<string, Exclude<keyof TokenSelector, "slotId">>> = {
  token: "label",
  serial: "serial",
  manufacturer: "manufacturer",
  model: "model",
};

function invalid(message: string): KmsError {
  return new KmsError("InvalidParameter", `uri ${message}`);
}

/** Splits `name=value` pairs, decoding percent signs; each name at most once. */
function pairsOf(text: string, separator: string): Map<string, string> {
  const pairs = new Map<string, string>();
  for (const pair of text.split(separator)) {
    if (pair === "") continue;
    const at = pair.indexOf("=");
    if (at <= 0) throw invalid("must be made of name=value pairs.");
    const name = pair.slice(0, at);
    if (pairs.has(name)) throw invalid(`must not repeat ${name}.`);
    try {
      pairs.set(name, decodeURIComponent(pair.slice(at + 1)));
    } catch {
      throw invalid(`has a value of ${name} that does not decode.`);
    }
  }
  return pairs;
}

/**
 * Parses a URI. What it cannot honour it refuses: a token must not be chosen by half of its description.
 *
 * @throws KmsError `InvalidParameter`; slot ids and PINs in a URI are refused too
 */
export function parseTokenUri(uri: string): TokenUri {
  ensure(uri.startsWith("pkcs11:"), "InvalidParameter", "uri must start with pkcs11:.");
  const [path = "", query = "", ...rest] = uri.slice("pkcs11:".length).split("?");
  if (rest.length > 0) throw invalid("must have one query at most.");
  const token: { label?: string; serial?: string; manufacturer?: string; model?: string } = {};
  for (const [name, value] of pairsOf(path, ";")) {
    const field = TOKEN_ATTRIBUTES[name];
    if (field === undefined)
      throw invalid(`must name a token by token, serial, manufacturer and model, not by ${name}.`);
    token[field] = value;
  }
  let library: string | undefined;
  for (const [name, value] of pairsOf(query, "&")) {
    if (name !== "module-path")
      throw invalid(`must not have ${name} in its query: only module-path is read.`);
    library = value;
  }
  if (token.label === undefined && token.serial === undefined) throw invalid("must have token or serial.");
  return { token, library };
}
