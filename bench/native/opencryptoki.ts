/**
 * Starts openCryptoki's software token, whose daemon and token folder are those of the whole machine: as root alone, and only
 * if the token is a new one or was made here.
 */

import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import type { TestModule } from "../../test/support/hsm-modules.ts";

const LIBRARY = "/usr/lib/x86_64-linux-gnu/pkcs11/libopencryptoki.so";
const DAEMON = "/usr/sbin/pkcsslotd";
const PID_FILE = "/var/run/pkcsslotd.pid";
/** Of the software token in Debian's configuration. */
const SLOT = "3";
const LABEL = "keyplane bench";
/** What a token that nobody has used answers to. */
const NEW = { label: "IBM OS PKCS#11", soPin: "87654321" };
const SO_PIN = "76543210";
const FIRST_PIN = "12345678";
const PIN = "1234567";

function configure(args: readonly string[], input = ""): string | undefined {
  const { status, stdout } = spawnSync("pkcsconf", args, { encoding: "utf8", input });
  return status === 0 ? stdout : undefined;
}

function isRunning(): boolean {
  try {
    process.kill(Number(readFileSync(PID_FILE, "utf8")), 0);
    return true;
  } catch {
    return false;
  }
}

function readLabel(): string | undefined {
  return /Label: (.*?)\s*$/m.exec(configure(["-t", "-c", SLOT]) ?? "")?.[1];
}

/** Makes a token of a new one; false if there is someone else's. */
function makeToken(): boolean {
  const label = readLabel();
  if (label !== NEW.label) return label === LABEL;
  const steps: readonly (readonly [readonly string[], string?])[] = [
    [["-I", "-S", NEW.soPin], `${LABEL}\n`],
    [["-P", "-S", NEW.soPin, "-n", SO_PIN]],
    [["-u", "-S", SO_PIN, "-n", FIRST_PIN]],
    [["-p", "-U", FIRST_PIN, "-n", PIN]],
  ];
  return steps.every(([args, input]) => configure([...args, "-c", SLOT], input) !== undefined);
}

/** Starts the token, or says why that is not possible here. */
export async function startOpenCryptoki(): Promise<TestModule | string> {
  if (!existsSync(LIBRARY) || !existsSync(DAEMON))
    return "it is not installed (Debian: apt-get install opencryptoki)";
  if (process.getuid?.() !== 0) return "its daemon needs root";
  let daemon: ChildProcess | undefined;
  if (!isRunning()) {
    daemon = spawn(DAEMON, ["-f"], { stdio: "ignore" });
    for (let i = 0; i < 100 && readLabel() === undefined; i++) await sleep(50);
  }
  if (!makeToken()) {
    daemon?.kill();
    return "its daemon does not start, or its token is someone else's";
  }
  return {
    name: "openCryptoki",
    library: LIBRARY,
    tokenLabel: LABEL,
    folder: "",
    pin: () => new TextEncoder().encode(PIN),
    use: () => undefined,
    dispose: () => daemon?.kill(),
  };
}
