/**
 * Starts PKCS#11 modules for tests: SoftHSM2 and NSS softokn, each with a token of its own in a temporary folder.
 * Where one is missing, a test is skipped with the way to get it; with CI=true it fails.
 */

import { execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

// Tests and benches run in the root of the repository; a bundled bench is elsewhere.
const BUILD = resolve("build/Release");

/** The compiled addon. */
export const ADDON: string = join(BUILD, "keyplane.node");

const PLACES = [
  "/usr/lib/softhsm",
  "/usr/lib/x86_64-linux-gnu/softhsm",
  "/usr/lib/aarch64-linux-gnu/softhsm",
  "/usr/lib64/softhsm",
  "/opt/homebrew/lib/softhsm",
  "/usr/lib/x86_64-linux-gnu",
  "/usr/lib/aarch64-linux-gnu",
  "/usr/lib64",
];

function findLibrary(name: string): string | undefined {
  return PLACES.map((place) => join(place, name)).find((path) => existsSync(path));
}

const SOFTHSM = findLibrary("libsofthsm2.so");
const NSS = findLibrary("libsoftokn3.so");

export type ModuleName = "softhsm" | "nss";

/** A module with one token, ready to be opened. */
export interface TestModule {
  readonly name: string;
  readonly library: string;
  readonly initArgs?: string;
  readonly tokenLabel: string;
  readonly folder: string;
  pin(): Uint8Array;
  /** Makes the environment of this process the one that the module reads when it is initialised. */
  use(): void;
  /** Removes the token. Close what uses it first. */
  dispose(): void;
}

/** Says why the tests of a module cannot run; undefined when they can. */
export function whyNot(name: ModuleName): string | undefined {
  if (!existsSync(ADDON)) return "the native addon is not built: run node .config/build-addon.mjs";
  if (name === "softhsm" && SOFTHSM === undefined) {
    return "SoftHSM2 is not installed (Debian: apt-get install softhsm2)";
  }
  if (name === "nss" && (NSS === undefined || !hasCertutil())) {
    return "NSS is not installed (Debian: apt-get install libnss3 libnss3-tools)";
  }
  return undefined;
}

/** Skips a test whose module is missing, and fails it in CI. */
export function requireModule(skip: (reason: string) => void, name: ModuleName): void {
  const reason = whyNot(name);
  if (reason === undefined) return;
  if (process.env["CI"] === "true") throw new Error(`${reason}; CI must have it`);
  skip(reason);
}

function hasCertutil(): boolean {
  try {
    execFileSync("certutil", ["-H"], { stdio: "ignore" });
    return true;
  } catch (error) {
    // It explains itself with exit status 1.
    return (error as NodeJS.ErrnoException).code !== "ENOENT";
  }
}

/**
 * Starts a module with a new token.
 *
 * @param copy loads a copy of the library, which is a module apart in the same process
 */
export function startModule(name: ModuleName, options: { label?: string; copy?: boolean } = {}): TestModule {
  const reason = whyNot(name);
  if (reason !== undefined) throw new Error(reason);
  const folder = mkdtempSync(join(tmpdir(), `keyplane-${name}-`));
  return name === "softhsm" ? startSoftHsm(folder, options) : startNss(folder);
}

function startSoftHsm(folder: string, options: { label?: string; copy?: boolean }): TestModule {
  const tokenLabel = options.label ?? "keyplane";
  const configuration = join(folder, "softhsm2.conf");
  mkdirSync(join(folder, "tokens"));
  writeFileSync(
    configuration,
    `directories.tokendir = ${join(folder, "tokens")}\nobjectstore.backend = file\nslots.removable = false\n`,
  );
  execFileSync(
    "softhsm2-util",
    ["--init-token", "--free", "--label", tokenLabel, "--pin", "123456", "--so-pin", "5678"],
    { stdio: "pipe", env: { ...process.env, SOFTHSM2_CONF: configuration } },
  );
  let library = SOFTHSM ?? "";
  if (options.copy === true) {
    library = join(folder, "libsofthsm2.so");
    cpSync(SOFTHSM ?? "", library);
  }
  return {
    name: "softhsm",
    library,
    tokenLabel,
    folder,
    pin: () => new TextEncoder().encode("123456"),
    use: () => {
      process.env["SOFTHSM2_CONF"] = configuration;
    },
    dispose: () => rmSync(folder, { recursive: true, force: true }),
  };
}

function startNss(folder: string): TestModule {
  const password = join(folder, "password");
  const database = join(folder, "db");
  mkdirSync(database);
  writeFileSync(password, "12345678\n");
  execFileSync("certutil", ["-N", "-d", `sql:${database}`, "-f", password], { stdio: "pipe" });
  return {
    name: "nss",
    library: NSS ?? "",
    initArgs: `configdir='sql:${database}' certPrefix='' keyPrefix='' secmod='secmod.db' flags=`,
    tokenLabel: "NSS Certificate DB",
    folder,
    pin: () => new TextEncoder().encode("12345678"),
    use: () => {},
    dispose: () => rmSync(folder, { recursive: true, force: true }),
  };
}
