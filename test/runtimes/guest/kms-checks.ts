/** Walks through the calls of a Kms over the shared store: what works, and how each failure ends. */

import type { SuiteRequest } from "./protocol.ts";
import { type Checks, codeOf, is, type Library, patterned, same, through, utf8 } from "./support.ts";

type Kms = Awaited<ReturnType<Library["Kms"]["open"]>>;

const CONTEXT = { tenant: "alpha", table: "patients" };

/** Returns the roles whose keys this runtime refuses to use. A Kms in a worker has neither synchronous calls nor streams. */
export async function checkKms(
  library: Library,
  kms: Kms,
  { keyIds }: SuiteRequest,
  checks: Checks,
  { isRemote = false }: { readonly isRemote?: boolean } = {},
): Promise<string[]> {
  const refused: string[] = [];
  const keyId = keyIds.aes256;
  const plaintext = utf8("attack at dawn");
  const code = (call: () => unknown) => codeOf(library, call);

  await checks.run("kms: advanceEncrypt and advanceDecrypt, and nothing else opens the blob", async () => {
    for (const id of [keyIds.aes256, keyIds.aes128]) {
      const { ciphertextBlob } = await kms.advanceEncrypt({
        keyId: id,
        plaintext,
        encryptionContext: CONTEXT,
      });
      const opened = await kms.advanceDecrypt({ ciphertextBlob, encryptionContext: { ...CONTEXT } });
      same(opened.plaintext, plaintext, "plaintext");
      is(opened.keyId, id, "keyId");
      const damaged = Uint8Array.from(ciphertextBlob);
      damaged[damaged.length - 1] = (damaged.at(-1) ?? 0) ^ 1;
      const wrong = { ...CONTEXT, tenant: "beta" };
      is(
        await code(() => kms.advanceDecrypt({ ciphertextBlob, encryptionContext: wrong })),
        "InvalidCiphertext",
        "context",
      );
      is(
        await code(() => kms.advanceDecrypt({ ciphertextBlob: damaged, encryptionContext: CONTEXT })),
        "InvalidCiphertext",
        "damage",
      );
      is(await code(() => kms.advanceDecrypt({ ciphertextBlob })), "InvalidCiphertext", "no context");
      is((await kms.inspect({ ciphertextBlob })).keyId, id, "inspect");
    }
  });

  await checks.run("kms: encrypt and decrypt with aad, of sizes from 1 byte to 100,000", async () => {
    const aad = utf8("aad");
    for (const size of [1, 15, 16, 17, 255, 4096, 100_000]) {
      const message = patterned(size);
      const { ciphertextBlob, iv } = await kms.encrypt({ keyId, plaintext: message, aad });
      if (iv === undefined) throw new Error("no iv");
      same((await kms.decrypt({ keyId, ciphertextBlob, iv, aad })).plaintext, message, `${size} bytes`);
      is(await code(() => kms.decrypt({ keyId, ciphertextBlob, iv })), "InvalidCiphertext", "no aad");
    }
  });

  await checks.run(
    "kms: data keys with and without plaintext, moved by reEncrypt after a rotation",
    async () => {
      const created = (await kms.createKey()).keyId;
      const made = await kms.advanceGenerateDataKey({ keyId: created, encryptionContext: CONTEXT });
      is(made.plaintext.length, 32, "length");
      const blind = await kms.advanceGenerateDataKeyWithoutPlaintext({ keyId: created, numberOfBytes: 48 });
      await kms.rotateKey({ keyId: created });
      const { ciphertextBlob } = made;
      const moved = await kms.reEncrypt({ ciphertextBlob, sourceEncryptionContext: CONTEXT });
      is(moved.changed, true, "changed");
      for (const blob of [ciphertextBlob, moved.ciphertextBlob]) {
        const opened = await kms.advanceDecrypt({ ciphertextBlob: blob, encryptionContext: CONTEXT });
        same(opened.plaintext, made.plaintext, "data key");
      }
      is((await kms.advanceDecrypt({ ciphertextBlob: blind.ciphertextBlob })).plaintext.length, 48, "blind");
      const detached = await kms.generateDataKey({ keyId: created, keySpec: "AES_128" });
      is(detached.plaintext.length, 16, "AES_128");
    },
  );

  await checks.run("kms: batches keep order, and one bad item spoils no other", async () => {
    const items = Array.from({ length: 50 }, (_, i) => ({
      keyId: i === 7 ? "key-00000000000000000000" : i % 2 === 0 ? keyIds.aes256 : keyIds.aes128,
      plaintext: patterned(i * 13 + 1),
    }));
    const sealed = await kms.advanceEncryptBatch(items);
    is(sealed.filter(({ ok }) => ok).length, 49, "sealed");
    const bad = sealed[7];
    is(bad?.ok === false ? bad.error.code : "none", "Forbidden.KeyNotFound", "the bad one");
    for (const [i, item] of sealed.entries()) {
      if (!item.ok) continue;
      const opened = await kms.advanceDecrypt({ ciphertextBlob: item.value.ciphertextBlob });
      same(opened.plaintext, patterned(i * 13 + 1), `item ${i}`);
    }
  });

  const sync = isRemote ? "" : await code(() => kms.advanceEncryptSync({ keyId, plaintext }));
  if (isRemote || sync === "Rejected.UnsupportedOperation") {
    refused.push("synchronous calls");
  } else {
    await checks.run("kms: the synchronous twins give what the others open", async () => {
      const { ciphertextBlob } = kms.advanceEncryptSync({ keyId, plaintext, encryptionContext: CONTEXT });
      same(
        (await kms.advanceDecrypt({ ciphertextBlob, encryptionContext: CONTEXT })).plaintext,
        plaintext,
        "async",
      );
      same(
        kms.advanceDecryptSync({ ciphertextBlob, encryptionContext: CONTEXT }).plaintext,
        plaintext,
        "sync",
      );
    });
  }

  for (const role of ["p256", "secp256k1", "rsa"] as const) {
    const id = keyIds[role];
    if ((await code(() => kms.sign({ keyId: id, message: plaintext }))) === "Rejected.UnsupportedOperation") {
      refused.push(`${role} keys`);
      continue;
    }
    await checks.run(`kms: sign and verify with the ${role} key`, async () => {
      const { signature } = await kms.sign({ keyId: id, message: plaintext });
      is((await kms.verify({ keyId: id, message: plaintext, signature })).value, true, "verify");
      is(
        (await kms.verify({ keyId: id, message: utf8("other"), signature })).value,
        false,
        "another message",
      );
      is(
        (await kms.verify({ keyId: id, message: plaintext, signature: signature.slice(1) })).value,
        false,
        "cut",
      );
      const { publicKey, publicKeyDer } = await kms.getPublicKey({ keyId: id });
      is(publicKey.startsWith("-----BEGIN PUBLIC KEY-----\n"), true, "PEM");
      is(publicKeyDer[0], 0x30, "DER");
    });
  }

  await checks.run("kms: MACs", async () => {
    const { mac } = await kms.generateMac({ keyId: keyIds.hmac, message: plaintext });
    is((await kms.verifyMac({ keyId: keyIds.hmac, message: plaintext, mac })).value, true, "verify");
    is(
      (await kms.verifyMac({ keyId: keyIds.hmac, message: utf8("other"), mac })).value,
      false,
      "another message",
    );
  });

  await checks.run("kms: new keys of each kind the runtime serves", async () => {
    for (const keySpec of ["Aliyun_AES_192", "EC_P256", "EC_P256K", "HMAC_SHA_512"] as const) {
      const answer = await code(() => kms.createKey({ keySpec }));
      if (answer === "Rejected.UnsupportedOperation") refused.push(`new ${keySpec} keys`);
      else is(answer, "none", keySpec);
    }
  });

  await checks.run("kms: random bytes", async () => {
    const [first, second] = [
      await kms.generateRandom({ length: 32 }),
      await kms.generateRandom({ length: 32 }),
    ];
    is(first.random.length, 32, "length");
    if (first.random.every((byte, i) => byte === second.random[i])) throw new Error("twice the same");
  });

  await checks.run("kms: mistakes end in their codes", async () => {
    const unknown = { keyId: "key-00000000000000000000", plaintext };
    is(await code(() => kms.encrypt(unknown)), "Forbidden.KeyNotFound", "key");
    is(
      await code(() => kms.encrypt({ keyId, plaintext, addd: plaintext } as never)),
      "InvalidParameter",
      "field",
    );
    is(await code(() => kms.encrypt({ keyId, plaintext: new Uint8Array(0) })), "MissingParameter", "empty");
    is(await code(() => kms.sign({ keyId, message: plaintext })), "Rejected.UnsupportedOperation", "usage");
    is(
      await code(() => kms.advanceDecrypt({ ciphertextBlob: patterned(80) })),
      "InvalidCiphertext",
      "foreign",
    );
  });

  if (isRemote) return refused;
  await checks.run("stream: 200,000 bytes in odd pieces, and a cut or changed file", async () => {
    const options = { keyId, encryptionContext: CONTEXT };
    for (const size of [0, 1, 200_000]) {
      const sealed = await through(patterned(size), library.encryptStream(kms, options));
      same(await through(sealed, library.decryptStream(kms, options)), patterned(size), `${size} bytes`);
      const cut = sealed.slice(0, -1);
      is(await code(() => through(cut, library.decryptStream(kms, options))), "InvalidCiphertext", "cut");
      const changed = Uint8Array.from(sealed);
      changed[changed.length - 5] = (changed.at(-5) ?? 0) ^ 4;
      is(
        await code(() => through(changed, library.decryptStream(kms, options))),
        "InvalidCiphertext",
        "changed",
      );
    }
  });
  return refused;
}
