/** The main job's table: what one core does in a few seconds, and the quota level that would fill. */

import type { KeySpec, Kms } from "../index.ts";
import { levelFilled, type OperationClass } from "../quota/alibaba-levels.ts";

interface Row {
  readonly name: string;
  readonly operation: OperationClass;
  run(): Promise<unknown>;
}

/** Calls between two looks at the clock: RSA signing takes milliseconds, AES microseconds. */
const CALLS_PER_LOOK = 4;

/** Share of a row's time that goes into warming up, which is not counted. */
const WARM_UP_SHARE = 0.2;

/** Runs a call over and over for a time and returns calls per second, the first ones left out. */
async function ratePerSecond(run: () => Promise<unknown>, milliseconds: number): Promise<number> {
  await callsWithin(run, milliseconds * WARM_UP_SHARE);
  return callsWithin(run, milliseconds * (1 - WARM_UP_SHARE));
}

async function callsWithin(run: () => Promise<unknown>, milliseconds: number): Promise<number> {
  const started = performance.now();
  let calls = 0;
  let elapsed = 0;
  while (elapsed < milliseconds) {
    for (let i = 0; i < CALLS_PER_LOOK; i++) await run();
    calls += CALLS_PER_LOOK;
    elapsed = performance.now() - started;
  }
  return (calls / elapsed) * 1000;
}

/**
 * Measures each kind of call one after the other, with 32-byte data as the vendor's figures have it.
 *
 * @param keyIds one key of each spec
 * @param milliseconds for all rows together
 */
export async function measureTable(
  kms: Kms,
  keyIds: ReadonlyMap<KeySpec, string>,
  milliseconds: number,
  say: (line: string) => void,
): Promise<void> {
  const idOf = (spec: KeySpec): string => keyIds.get(spec) ?? "";
  const aes = idOf("Aliyun_AES_256");
  const plaintext = new Uint8Array(32);
  const encryptionContext = { purpose: "measurement" };
  const { ciphertextBlob } = await kms.advanceEncrypt({ keyId: aes, plaintext, encryptionContext });
  const signing = (spec: KeySpec): Row => ({
    name: `sign ${spec}`,
    operation: "asymmetric",
    run: () => kms.sign({ keyId: idOf(spec), message: plaintext }),
  });
  const rsa = idOf("RSA_2048");
  const { signature } = await kms.sign({ keyId: rsa, message: plaintext });
  const rows: readonly Row[] = [
    {
      name: "encrypt",
      operation: "symmetric",
      run: () => kms.encrypt({ keyId: aes, plaintext, encryptionContext }),
    },
    {
      name: "advanceEncrypt",
      operation: "symmetric",
      run: () => kms.advanceEncrypt({ keyId: aes, plaintext, encryptionContext }),
    },
    {
      name: "advanceDecrypt",
      operation: "symmetric",
      run: () => kms.advanceDecrypt({ ciphertextBlob, encryptionContext }),
    },
    {
      name: "advanceGenerateDataKey",
      operation: "symmetric",
      run: () => kms.advanceGenerateDataKey({ keyId: aes, encryptionContext }),
    },
    {
      name: "reEncrypt",
      operation: "symmetric",
      run: () =>
        kms.reEncrypt({
          ciphertextBlob,
          sourceEncryptionContext: encryptionContext,
          destinationEncryptionContext: null,
        }),
    },
    { name: "generateRandom", operation: "generateRandom", run: () => kms.generateRandom({ length: 32 }) },
    signing("RSA_2048"),
    {
      name: "verify RSA_2048",
      operation: "asymmetric",
      run: () => kms.verify({ keyId: rsa, message: plaintext, signature }),
    },
    signing("RSA_3072"),
    signing("RSA_4096"),
    signing("EC_P256"),
    signing("EC_P256K"),
    { name: "getPublicKey", operation: "getPublicKey", run: () => kms.getPublicKey({ keyId: rsa }) },
  ];

  say(`  ${"operation".padEnd(24)}${"ops/s on one core".padStart(18)}   Alibaba level it would fill`);
  for (const { name, operation, run } of rows) {
    const rate = await ratePerSecond(run, milliseconds / rows.length);
    const filled = levelFilled(operation, rate);
    const level =
      filled === undefined ? "below software 1000" : `${filled.level.name} (${filled.times.toFixed(1)}x)`;
    say(`  ${name.padEnd(24)}${Math.round(rate).toLocaleString("en-US").padStart(18)}   ${level}`);
  }
}
