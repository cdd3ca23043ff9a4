/** What does the facade cost on hardware keys? Its batches and single callers against the addon's own batches, on SoftHSM2. */

import { randomBytes } from "node:crypto";
import { FLAG, OP } from "../src/engines/hsm/record.ts";
import { Hsm } from "../src/hsm.ts";
import { Kms } from "../src/index.ts";
import { startModule, whyNot } from "../test/support/hsm-modules.ts";
import { CKM, Driver, type Request } from "../test/support/native-pool.ts";
import { median } from "./interleave.ts";

const BATCH = 64;
/** Batches under way at once. */
const WIDTH = 4;
const SLICE_MS = 150;
const ROUNDS = 15;
/** Bytes that the facade authenticates with an empty aad. */
const FRAME_LENGTH = 48;

/** Does `run`, which stands for so many calls, over and over for a slice; calls a second. */
async function rate(width: number, calls: number, run: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  let done = 0;
  const work = async (): Promise<void> => {
    while (performance.now() - started < SLICE_MS) {
      await run();
      done += calls;
    }
  };
  await Promise.all(Array.from({ length: width }, work));
  return (done * 1000) / (performance.now() - started);
}

interface Row {
  readonly name: string;
  readonly least: number;
  readonly addon: () => Promise<unknown>;
  readonly width: number;
  readonly calls: number;
  readonly facade: () => Promise<unknown>;
}

/** Median of the ratios of neighbouring slices: what slows the machine slows both. */
async function ratioOf(row: Row): Promise<number> {
  const ratios: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const addon = await rate(WIDTH, BATCH, row.addon);
    const facade = await rate(row.width, row.calls, row.facade);
    ratios.push(facade / addon);
  }
  return median(ratios);
}

export async function run(): Promise<boolean> {
  const reason = whyNot("softhsm");
  if (reason !== undefined) {
    console.log(`skipped: ${reason}`);
    return process.env["CI"] !== "true";
  }
  const module = startModule("softhsm");
  module.use();
  const { library, tokenLabel } = module;
  const hsm = await Hsm.open({ library, tokenLabel, pin: async () => module.pin() });
  const driver = new Driver(module, { records: 1024 });
  await driver.pool.open();
  const kms = await Kms.open({ hsm });
  const plaintext = new Uint8Array(32);
  const digest = new Uint8Array(randomBytes(32));

  const aes = await driver.aesKey("bench aes");
  const ec = await driver.ecKeys("bench ec");
  const seals: Request[] = Array.from({ length: BATCH }, () => ({
    op: OP.ENCRYPT,
    mechanism: CKM.AES_GCM,
    key: aes.ref,
    flags: FLAG.RETRY | FLAG.FIXED_IV,
    tagLength: 16,
    iv: new Uint8Array(randomBytes(12)),
    aux: new Uint8Array(FRAME_LENGTH),
    input: plaintext,
    capacity: 48,
  }));
  const signs: Request[] = Array.from({ length: BATCH }, () => ({
    op: OP.SIGN,
    mechanism: CKM.ECDSA,
    key: ec.privateKey.ref,
    flags: FLAG.RETRY,
    input: digest,
    capacity: 64,
  }));
  const aesId = (await kms.createKey({ protectionLevel: "HSM" })).keyId;
  const ecId = (await kms.createKey({ protectionLevel: "HSM", keySpec: "EC_P256" })).keyId;
  const encryptions = Array.from({ length: BATCH }, () => ({ keyId: aesId, plaintext }));
  const signatures = Array.from({ length: BATCH }, () => {
    return { keyId: ecId, message: digest, messageType: "DIGEST" } as const;
  });
  const encrypt = (): Promise<unknown> => kms.encrypt({ keyId: aesId, plaintext });
  const sign = (): Promise<unknown> => kms.sign({ keyId: ecId, message: digest, messageType: "DIGEST" });
  const addonSeals = (): Promise<unknown> => Promise.all(driver.submit(seals));
  const addonSigns = (): Promise<unknown> => Promise.all(driver.submit(signs));
  const rows: Row[] = [
    {
      name: "encryptBatch of 64",
      least: 0.85,
      addon: addonSeals,
      width: WIDTH,
      calls: BATCH,
      facade: () => kms.encryptBatch(encryptions),
    },
    {
      name: "signBatch of 64, ECDSA",
      least: 0.85,
      addon: addonSigns,
      width: WIDTH,
      calls: BATCH,
      facade: () => kms.signBatch(signatures),
    },
    { name: "64 callers of encrypt", least: 0.8, addon: addonSeals, width: BATCH, calls: 1, facade: encrypt },
    {
      name: "64 callers of sign, ECDSA",
      least: 0.8,
      addon: addonSigns,
      width: BATCH,
      calls: 1,
      facade: sign,
    },
  ];
  let met = true;
  for (const row of rows) {
    let value = await ratioOf(row);
    if (value < row.least) value = Math.max(value, await ratioOf(row));
    const ok = value >= row.least;
    met &&= ok;
    console.log(
      `${`${row.name} / addon's batches`.padEnd(48)}${value.toFixed(2).padStart(6)}  >= ${row.least.toFixed(2)}   ${ok ? "ok" : "MISSED"}`,
    );
  }
  await kms.close();
  await hsm.close();
  await driver.pool.close(1000);
  module.dispose();
  return met;
}
