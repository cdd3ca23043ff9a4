/** What the command does on a terminal: the passphrase line, the progress line, and binary data it keeps off. */

import { spawnSync } from "node:child_process";
import { describe, expect, test } from "vitest";
import { PassphraseLine } from "../../src/cli/passphrase.ts";
import { progressText } from "../../src/cli/progress.ts";
import { printable, tableLines } from "../../src/cli/report.ts";
import { useCli } from "./support.ts";

const cli = useCli();
/** The program of util-linux that runs another one on a terminal of its own. */
const TERMINAL = "script";
const hasTerminal = process.platform === "linux" && spawnSync(TERMINAL, ["--version"]).error === undefined;

/** Runs the command with standard output and error on a terminal. */
function onTerminal(args: string, env: Record<string, string>): { status: number | null; screen: string } {
  const { status, stdout } = spawnSync(
    TERMINAL,
    ["-qefc", `"${process.execPath}" "${cli.main}" ${args}`, "/dev/null"],
    { cwd: cli.path("."), env: { ...process.env, ...env }, encoding: "latin1", input: "", timeout: 30_000 },
  );
  return { status, screen: stdout };
}

describe.skipIf(!hasTerminal)("on a terminal", () => {
  test("binary data is refused unless forced", () => {
    const env = { KEYPLANE_STORE: cli.path("store.db"), KEYPLANE_ROOT_KEY_FILE: cli.path("root.key") };
    const refused = onTerminal("random 16", env);
    expect(refused.status).toBe(2);
    expect(refused.screen).toMatch(/^keyplane: Usage: Binary data is not for a terminal/);
    expect(onTerminal("random 16 --force", env)).toMatchObject({ status: 0 });
    expect(onTerminal("random 16 --format hex", env).screen).toMatch(/^[0-9a-f]{32}\r\n$/);
  });
});

describe("the passphrase line", () => {
  function type(keys: readonly number[]): { state: string; taken: Uint8Array } {
    const line = new PassphraseLine();
    let state = "more";
    for (const key of keys) state = line.push(key);
    return { state, taken: line.take() };
  }
  const text = (value: string): number[] => [...Buffer.from(value)];

  test("ends with return or line feed, which are not part of it", () => {
    expect(type([...text("abc"), 0x0d])).toEqual({ state: "done", taken: Uint8Array.of(97, 98, 99) });
    expect(type([...text("abc"), 0x0a]).state).toBe("done");
  });

  test("forgets a whole character on backspace, and the whole line on ctrl-U", () => {
    expect(type([...text("aé😀"), 0x7f, 0x7f]).taken).toEqual(Uint8Array.of(97));
    expect(type([0x7f, 0x08, ...text("a")]).taken).toEqual(Uint8Array.of(97));
    expect(type([...text("abc"), 0x15, ...text("d")]).taken).toEqual(Uint8Array.of(100));
  });

  test("is given up with ctrl-C, and with ctrl-D at its start", () => {
    expect(type([...text("abc"), 0x03]).state).toBe("cancelled");
    expect(type([0x04]).state).toBe("cancelled");
    expect(type([...text("a"), 0x04]).state).toBe("more");
  });

  test("has an end of room", () => {
    expect(type(new Array<number>(2000).fill(97)).taken).toHaveLength(1024);
  });
});

describe("text", () => {
  test("of the progress line grows with the file", () => {
    const MIB = 1024 * 1024;
    expect(progressText(0, 100 * MIB, 0)).toBe("[                        ]   0%  0.0 MiB  0.0 MiB/s");
    expect(progressText(50 * MIB, 100 * MIB, 2)).toBe(
      "[############            ]  50%  50.0 MiB  25.0 MiB/s",
    );
    expect(progressText(120 * MIB, 100 * MIB, 1)).toMatch(/^\[#{24}] 100% /);
    expect(progressText(3 * MIB, undefined, 1)).toBe("3.0 MiB  3.0 MiB/s");
  });

  test("of strangers cannot steer the terminal", () => {
    expect(printable("a\u001b]0;x\u0007\r\nb\u009b1m\u202e")).toBe(
      "a\\u001b]0;x\\u0007\\u000d\\u000ab\\u009b1m\\u202e",
    );
    expect(printable("Grüße, 世界 😀")).toBe("Grüße, 世界 😀");
  });

  test("of tables has columns", () => {
    expect(
      tableLines([
        ["A", "B"],
        ["long", "x"],
        ["s", ""],
      ]),
    ).toBe("A     B\nlong  x\ns\n");
  });
});
