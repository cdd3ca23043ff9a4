/** Times the first ciphertext in a page of its own: whoever else imported the package would have loaded a part of it. */

export interface FirstSeal {
  /**
   * Milliseconds from the import of the package to the first ciphertext of a Kms, in a page that is idle and has loaded nothing
   * of it yet; and those that importing an empty module takes there, which is the browser's share of each file.
   */
  firstSeal(): Promise<{ readonly all: number; readonly emptyModule: number }>;
}

/** How long a page is let alone before it is timed: making it keeps the browser busy for a while. */
const QUIET_MS = 700;

const firstSeal: FirstSeal["firstSeal"] = async () => {
  await new Promise((resolve) => setTimeout(resolve, QUIET_MS));
  const began = performance.now();
  const { Kms } = await import("keyplane");
  const kms = await Kms.open();
  const { keyId } = await kms.createKey();
  await kms.advanceEncrypt({ keyId, plaintext: new Uint8Array(32) });
  const sealed = performance.now();
  await import(`${location.origin}/empty.js`);
  const imported = performance.now();
  await kms.close();
  return { all: sealed - began, emptyModule: imported - sealed };
};

Object.assign(globalThis, { keyplaneFigures: { firstSeal } });
