// Signing: the private key stays inside, anybody verifies with the PEM.
import { verify } from "node:crypto";
import { Kms } from "keyplane";

const kms = await Kms.open();
const { keyId } = await kms.createKey({ keySpec: "EC_P256" });
await kms.createAlias({ keyId, aliasName: "alias/release-signing" });

const message = new TextEncoder().encode("release 1.2.3");
const { signature, algorithm } = await kms.sign({ keyId: "alias/release-signing", message });
const { publicKey } = await kms.getPublicKey({ keyId });
console.log(`${algorithm}: ${verify("sha256", message, publicKey, signature)}`);
await kms.close();
