#!/usr/bin/env node
/** Starts the command line. */
import { enableCompileCache } from 'node:module';
import { fileURLToPath } from 'node:url';

// In the checkout's own folder: a shared temporary one could be filled by others.
enableCompileCache(fileURLToPath(new URL('../node_modules/.cache/strongroom', import.meta.url)));
const { run } = await import('./cli/program.ts');
await run(process.argv);
