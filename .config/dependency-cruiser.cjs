/** The rings of docs/architecture.md: arrows point inward and down, never up or sideways. */

const SHARED = ["errors\\.ts$", "bytes\\.ts$", "maybe-promise\\.ts$"];

const ring = (name, from, allowed) => ({
  name,
  severity: "error",
  from: { path: `^src/${from}` },
  to: { path: "^src/", pathNot: [...allowed, ...SHARED].map((to) => `^src/${to}`) },
});

module.exports = {
  forbidden: [
    { name: "no-cycles", severity: "error", from: {}, to: { circular: true } },
    { name: "no-orphans", severity: "error", from: { orphan: true, pathNot: "\\.d\\.ts$" }, to: {} },
    ring("facade-sees-operations", "kms\\.ts$", ["operations/", "platform/platform\\.ts$"]),
    ring("operations-see-keys-envelope-and-engine-ports", "operations/", [
      "operations/",
      "keys/",
      "envelope/",
      "engines/[^/]+\\.ts$",
      "platform/platform\\.ts$",
      "stores/memory\\.ts$",
    ]),
    ring("envelope-is-pure", "envelope/", ["envelope/"]),
    ring("keys-are-pure", "keys/", ["keys/"]),
    ring("stores-see-their-port", "stores/", ["stores/", "keys/key-store\\.ts$"]),
    ring("workers-see-the-facade", "worker/", ["worker/", "kms\\.ts$", "operations/batch\\.ts$"]),
    ring("engine-ports-see-keys", "engines/[^/]+\\.ts$", ["engines/", "keys/"]),
    {
      name: "engines-are-strangers",
      severity: "error",
      from: { path: "^src/engines/([^/]+)/" },
      to: { path: "^src/engines/[^/]+/", pathNot: "^src/engines/$1/" },
    },
    {
      name: "only-ports-load-engines",
      severity: "error",
      from: { path: "^src/", pathNot: "^src/(engines/[^/]+/|engines/load-engine\\.ts$|hsm\\.ts$|platform/)" },
      to: { path: "^src/engines/[^/]+/" },
    },
    {
      name: "pure-rings-touch-no-platform",
      severity: "error",
      from: { path: "^src/(keys|envelope|operations)/" },
      to: { dependencyTypes: ["core"] },
    },
    {
      name: "web-entry-is-portable",
      severity: "error",
      from: { path: "^src/(web|worker)\\.ts$" },
      to: { path: "^(src/(engines/(node|hsm)/|stores/sqlite|platform/node)|node:)", reachable: true },
    },
  ],
  options: {
    tsPreCompilationDeps: true,
    tsConfig: { fileName: "tsconfig.json" },
    doNotFollow: { path: "node_modules" },
  },
};
