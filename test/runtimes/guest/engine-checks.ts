/** Holds every primitive an engine serves against the answers of others; awaits each call, since some engines answer later. */

import type { Answers } from "./protocol.ts";
import { type Checks, codeOf, fromHex, is, type Library, same } from "./support.ts";

type Engine = Awaited<ReturnType<Library["loadEngine"]>>;
type Curve = Parameters<NonNullable<Engine["ecdsa"]>["importPrivateKey"]>[0];
type Hash = Parameters<NonNullable<Engine["hash"]>>[0];

function flipped(bytes: Uint8Array, at: number): Uint8Array {
  const copy = Uint8Array.from(bytes);
  copy[at] = (copy[at] ?? 0) ^ 1;
  return copy;
}

/** Returns the primitives the engine does not serve. */
export async function checkEngine(
  library: Library,
  engine: Engine,
  answers: Answers,
  checks: Checks,
): Promise<string[]> {
  const refused: string[] = [];
  const each = async <Name extends keyof Answers>(
    name: Name,
    check: (answer: Answers[Name][number], served: NonNullable<Engine[Name]>) => Promise<void>,
  ): Promise<void> => {
    const served = engine[name];
    if (served === undefined) {
      refused.push(`${engine.name} ${name}`);
      return;
    }
    await checks.run(`${engine.name}: ${name}`, async () => {
      let compared = 0;
      for (const answer of answers[name]) {
        // An engine may serve a primitive for some sizes, hashes or curves only; it then says so and nothing else.
        const code = await codeOf(library, async () => {
          await check(answer, served as NonNullable<Engine[Name]>);
          compared += 1;
        });
        if (code === "Rejected.UnsupportedOperation")
          refused.push(`${engine.name} ${name} ${kindOf(answer)}`);
        else is(code, "none", kindOf(answer));
      }
      if (compared === 0) throw new Error("the engine serves it and refuses every answer");
    });
  };

  await each("hash", async ({ hash, message, digest }, serve) => {
    same(await serve(hash as Hash, fromHex(message)), digest, hash);
  });
  await each("hmac", async ({ hash, key, message, mac }, hmac) => {
    same(await hmac.sign(hash as Hash, fromHex(key), fromHex(message)), mac, hash);
  });
  await each("hkdf", async ({ hash, ikm, salt, info, okm }, hkdf) => {
    same(await hkdf(hash as Hash, fromHex(ikm), fromHex(salt), fromHex(info), okm.length / 2), okm, hash);
  });
  await each("aesGcm", async ({ key, iv, aad, plaintext, sealed }, aesGcm) => {
    const handle = await aesGcm.importKey(fromHex(key));
    same(await aesGcm.seal(handle, fromHex(iv), fromHex(plaintext), fromHex(aad)), sealed, "seal");
    same(await aesGcm.open(handle, fromHex(iv), fromHex(sealed), fromHex(aad)), plaintext, "open");
    const last = sealed.length / 2 - 1;
    is(
      await aesGcm.open(handle, fromHex(iv), flipped(fromHex(sealed), last), fromHex(aad)),
      undefined,
      "tag",
    );
    is(await aesGcm.open(handle, fromHex(iv), flipped(fromHex(sealed), 0), fromHex(aad)), undefined, "text");
    handle.destroy();
    const after = await codeOf(library, () => aesGcm.seal(handle, fromHex(iv), fromHex(plaintext)));
    is(after, "InvalidParameter", "a destroyed key");
  });
  for (const name of ["aesKw", "aesKwp"] as const) {
    await each(name, async ({ kek, key, wrapped }, serve) => {
      same(await serve.wrap(fromHex(kek), fromHex(key)), wrapped, "wrap");
      same(await serve.unwrap(fromHex(kek), fromHex(wrapped)), key, "unwrap");
      is(await serve.unwrap(fromHex(kek), flipped(fromHex(wrapped), 3)), undefined, "damaged");
    });
  }
  await each("ecdsa", async ({ curve, hash, pkcs8, spki, message, signature, deterministic }, ecdsa) => {
    const privateKey = await ecdsa.importPrivateKey(curve as Curve, fromHex(pkcs8));
    const publicKey = await ecdsa.importPublicKey(curve as Curve, fromHex(spki));
    same(await ecdsa.exportSpki(await ecdsa.publicKey(privateKey)), spki, "public key");
    const signable = { message: fromHex(message), hash: hash as Hash };
    const made = await ecdsa.sign(privateKey, signable, { format: "p1363" });
    if (deterministic && engine.name === "wasm") same(made, signature, "signature");
    for (const candidate of [made, fromHex(signature)]) {
      is(await ecdsa.verify(publicKey, signable, candidate, { format: "p1363" }), true, "verify");
      is(
        await ecdsa.verify(publicKey, signable, flipped(candidate, 40), { format: "p1363" }),
        false,
        "forged",
      );
    }
    is(await ecdsa.verify(publicKey, signable, new Uint8Array(0)), false, "empty");
  });
  await each("ecdh", async ({ curve, pkcs8, spki, shared }, ecdh) => {
    const ecdsa = engine.ecdsa;
    if (ecdsa === undefined) throw new Error("ECDH without the keys of ECDSA");
    const privateKey = await ecdsa.importPrivateKey(curve as Curve, fromHex(pkcs8));
    const publicKey = await ecdsa.importPublicKey(curve as Curve, fromHex(spki));
    same(await ecdh.deriveBits(privateKey, publicKey), shared, curve);
  });
  await each("rsa", async ({ pkcs8, spki, message, pss, pkcs1, plaintext, oaep }, rsa) => {
    const privateKey = await rsa.importPrivateKey(fromHex(pkcs8));
    const publicKey = await rsa.importPublicKey(fromHex(spki));
    const signable = { message: fromHex(message), hash: "SHA-256" as const };
    const options = { hash: "SHA-256" as const };
    same(await rsa.signPkcs1(privateKey, signable, options), pkcs1, "PKCS #1 signature");
    is(await rsa.verifyPkcs1(publicKey, signable, fromHex(pkcs1), options), true, "PKCS #1");
    is(
      await rsa.verifyPkcs1(publicKey, signable, flipped(fromHex(pkcs1), 9), options),
      false,
      "PKCS #1 forged",
    );
    is(await rsa.verifyPss(publicKey, signable, fromHex(pss), options), true, "PSS");
    const made = await rsa.signPss(privateKey, signable, options);
    is(await rsa.verifyPss(publicKey, signable, made, options), true, "PSS of its own");
    is(await rsa.verifyPss(publicKey, signable, flipped(made, 9), options), false, "PSS forged");
    same(await rsa.decryptOaep(privateKey, fromHex(oaep), options), plaintext, "OAEP");
    is(await rsa.decryptOaep(privateKey, flipped(fromHex(oaep), 9), options), undefined, "OAEP damaged");
    const sealed = await rsa.encryptOaep(publicKey, fromHex(plaintext), options);
    same(await rsa.decryptOaep(privateKey, sealed, options), plaintext, "OAEP of its own");
  });
  return refused;
}

/** Names an answer by what an engine may refuse. */
function kindOf(answer: object): string {
  const { curve, hash, key, kek } = answer as Partial<Record<"curve" | "hash" | "key" | "kek", string>>;
  if (curve !== undefined) return `${curve} ${hash ?? ""}`.trim();
  if (hash !== undefined) return hash;
  const secret = kek ?? key;
  return secret === undefined ? "" : `AES-${secret.length * 4}`;
}
