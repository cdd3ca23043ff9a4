#!/usr/bin/env node
/** The `keyplane` executable. */

import { runProgram } from "./program.ts";

process.exitCode = await runProgram(process.argv.slice(2));
