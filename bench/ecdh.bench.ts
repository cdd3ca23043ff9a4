/** How many times quicker than node:crypto does the wasm engine exchange keys on P-256 and secp256k1? */

import { createPrivateKey, createPublicKey, diffieHellman } from "node:crypto";
import { createWasmEngine } from "../src/engines/wasm/inlined.ts";
import { compare, type Gate } from "./gates.ts";

/** node:crypto became quicker at exchanges on P-256 with OpenSSL 3.5. */
const NODE_EXCHANGES_FAST = Number(process.versions.node.split(".")[0]) >= 24;

/** Exchanges with keys that both sides have imported before: KeyObjects there, handles here. */
export async function run(): Promise<Gate[]> {
  const { ecdsa, ecdh } = createWasmEngine();
  if (ecdsa === undefined || ecdh === undefined) throw new Error("the wasm engine serves no EC keys");
  const gates: Gate[] = [];
  for (const curve of ["P-256", "secp256k1"] as const) {
    const { privateKey } = await ecdsa.generateKey(curve);
    const { publicKey: peer } = await ecdsa.generateKey(curve);
    const pkcs8 = Buffer.from(ecdsa.exportPkcs8(privateKey));
    const spki = Buffer.from(ecdsa.exportSpki(peer));
    const keys = {
      privateKey: createPrivateKey({ key: pkcs8, format: "der", type: "pkcs8" }),
      publicKey: createPublicKey({ key: spki, format: "der", type: "spki" }),
    };
    if (!diffieHellman(keys).equals(ecdh.deriveBits(privateKey, peer))) throw new Error("the secrets differ");
    const demand = curve === "secp256k1" ? 8 : NODE_EXCHANGES_FAST ? 0.45 : 0.9;
    gates.push(
      ...(await compare(
        `${curve} ECDH`,
        [
          { name: "wasm", run: () => ecdh.deriveBits(privateKey, peer) },
          { name: "node:crypto", run: () => diffieHellman(keys) },
        ],
        { "node:crypto": demand },
      )),
    );
  }
  return gates;
}
