/** Types of index.mjs for the tests that compare the generated kernels. */

export function generatedFiles(): Readonly<Record<string, string>>;

export function generate(options?: { readonly check?: boolean }): Promise<string | undefined>;
