/** What every engine's ECDH must do. Called once per engine. */

import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import type { Ecdh, Ecdsa, EcPrivateKey, EcPublicKey } from "../../src/engines/engine.ts";
import { CURVES, type CurveFacts, scalars } from "./ecdsa.ts";
import { codeOf, expectOwned, type MakeEngine, served } from "./engine-support.ts";

/** @param curves what curves the engine has; all if absent */
export function describeEcdh(name: string, make: MakeEngine, curves: readonly CurveFacts[] = CURVES): void {
  describe.each(curves)(`${name} as ECDH on $curve`, ({ curve, noble }) => {
    let ecdsa: Ecdsa;
    let ecdh: Ecdh;
    beforeAll(async () => {
      const engine = await make();
      ecdsa = served(engine, "ecdsa");
      ecdh = served(engine, "ecdh");
    });

    test("two parties find the x coordinate that noble finds", () => {
      const scalar = scalars(noble.Point.CURVE().n);
      fc.assert(
        fc.property(scalar, scalar, (ours, theirs) => {
          const ourKey = ecdsa.importPrivateKey(curve, ours);
          const theirKey = ecdsa.importPrivateKey(curve, theirs);
          const shared = ecdh.deriveBits(ourKey, ecdsa.publicKey(theirKey));
          expectOwned(shared);
          const theirPoint = noble.getPublicKey(theirs, false);
          expect(shared).toEqual(noble.getSharedSecret(ours, theirPoint, true).slice(1));
          expect(ecdh.deriveBits(theirKey, ecdsa.publicKey(ourKey))).toEqual(shared);
        }),
        { numRuns: 30 },
      );
    });

    test("keys of two curves, swapped, destroyed or foreign ones are InvalidParameter", async () => {
      const { privateKey, publicKey } = await ecdsa.generateKey(curve);
      const other =
        curves.length > 1 ? await ecdsa.generateKey(curve === "P-256" ? "secp256k1" : "P-256") : undefined;
      const foreign = await served(await make(), "ecdsa").generateKey(curve);
      const destroyed = await ecdsa.generateKey(curve);
      destroyed.privateKey.destroy();
      destroyed.publicKey.destroy();
      const wrong: readonly (readonly [EcPrivateKey, EcPublicKey])[] = [
        ...(other === undefined
          ? []
          : ([
              [privateKey, other.publicKey],
              [other.privateKey, publicKey],
            ] as const)),
        [publicKey as unknown as EcPrivateKey, publicKey],
        [privateKey, privateKey as unknown as EcPublicKey],
        [privateKey, foreign.publicKey],
        [foreign.privateKey, publicKey],
        [destroyed.privateKey, publicKey],
        [privateKey, destroyed.publicKey],
      ];
      for (const [ours, theirs] of wrong) {
        expect(codeOf(() => ecdh.deriveBits(ours, theirs))).toBe("InvalidParameter");
      }
      expect(codeOf(() => ecdh.deriveBits(privateKey, publicKey))).toBe("none");
    });
  });
}
