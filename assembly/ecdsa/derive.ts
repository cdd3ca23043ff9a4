/** ECDH (SP 800-56A, 5.7.1.2). */

import { fieldInvert } from "./field";
import { ITEM_EXTRA, ITEM_RANDOM, ITEM_SIGNATURE, itemAt } from "./items";
import { ECC_SMALL_TABLES } from "./memory";
import { multiplyByHalves, multiplyByWindows, PEER_POINTS } from "./multiply";
import { Z } from "./point";
import { bytesOfElement, elementOfBytes } from "./scalar";
import { affineOf, readBlind } from "./sign";
import { PRIVATE, RUNNING, S0, SUM } from "./state";
import { storeOddMultiples } from "./table";
import { loadPublicKey } from "./verify";

/**
 * Computes the shared x of the first item: its public point times the scalar in ITEM_EXTRA, to ITEM_SIGNATURE.
 *
 * Time: constant in the scalar; the table of the peer's point takes a time that depends on that point.
 */
export function deriveItem<C>(): void {
  const item: usize = itemAt(0);
  loadPublicKey<C>(item);
  storeOddMultiples<C>(ECC_SMALL_TABLES, PEER_POINTS);
  elementOfBytes(PRIVATE, item + ITEM_EXTRA);
  readBlind(item + ITEM_RANDOM);
  if (sizeof<C>() === 4) multiplyByWindows<C>(PRIVATE, ECC_SMALL_TABLES);
  else multiplyByHalves(PRIVATE, ECC_SMALL_TABLES);
  fieldInvert<C>(RUNNING, SUM + Z);
  affineOf<C>(SUM, RUNNING);
  bytesOfElement(item + ITEM_SIGNATURE, S0);
}
