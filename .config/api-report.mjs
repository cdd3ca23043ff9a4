/** Keeps docs/api/: what each entry exports, as api-extractor sees it in dist/. A difference is a change of the API. */

import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Extractor, ExtractorConfig } from "@microsoft/api-extractor";
import { ROOT } from "./files.mjs";

/** Entry below dist/ and the name of its report. */
const ENTRIES = [
  ["index", "keyplane"],
  ["web", "keyplane-web"],
  ["engine", "keyplane-engine"],
  ["core", "keyplane-core"],
  ["aes-gcm", "keyplane-aes-gcm"],
  ["kernels", "keyplane-kernels"],
  ["stream", "keyplane-stream"],
  ["worker", "keyplane-worker"],
  ["stores/sqlite", "keyplane-stores-sqlite"],
  ["stores/indexeddb", "keyplane-stores-indexeddb"],
  ["hsm", "keyplane-hsm"],
];

/**
 * @param {{ write: boolean }} options `write` replaces the reports in docs/api/
 * @returns {string | undefined} what is wrong, or nothing
 */
export function apiReports({ write }) {
  const temporary = mkdtempSync(join(tmpdir(), "keyplane-api-"));
  const problems = [];
  for (const [entry, name] of ENTRIES) {
    const config = ExtractorConfig.prepare({
      configObject: {
        projectFolder: ROOT,
        mainEntryPointFilePath: join(ROOT, `dist/${entry}.d.ts`),
        compiler: { tsconfigFilePath: join(ROOT, "tsconfig.json") },
        apiReport: {
          enabled: true,
          reportFileName: `${name}.api.md`,
          reportFolder: temporary,
          reportTempFolder: temporary,
        },
        docModel: { enabled: false },
        dtsRollup: { enabled: false },
        messages: {
          extractorMessageReporting: {
            default: { logLevel: "none" },
            "ae-missing-release-tag": { logLevel: "none" },
          },
          tsdocMessageReporting: { default: { logLevel: "none" } },
          compilerMessageReporting: { default: { logLevel: "warning" } },
        },
      },
      configObjectFullPath: undefined,
      packageJsonFullPath: join(ROOT, "package.json"),
    });
    Extractor.invoke(config, {
      localBuild: true,
      showVerboseMessages: false,
      messageCallback: (message) => {
        message.handled = true;
      },
    });
    const made = join(temporary, `${name}.api.md`);
    const kept = join(ROOT, "docs/api", `${name}.api.md`);
    if (write) {
      mkdirSync(join(ROOT, "docs/api"), { recursive: true });
      copyFileSync(made, kept);
    } else if (!existsSync(kept) || readFileSync(kept, "utf8") !== readFileSync(made, "utf8")) {
      problems.push(
        `docs/api/${name}.api.md is not what dist/${entry}.d.ts exports; run node .config/api-report.mjs`,
      );
    }
  }
  rmSync(temporary, { recursive: true, force: true });
  return problems.length > 0 ? problems.join("\n") : undefined;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) apiReports({ write: true });
