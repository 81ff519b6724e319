import type { Command } from 'commander';
import { productVersion } from '../service/version.ts';
import { print, printJson } from './output.ts';

export function addVersionCommand(program: Command): void {
  program
    .command('version')
    .description('print the version of Strongroom and of its runtime')
    .option('--json', 'print JSON')
    .action((options: { json?: boolean }) => {
      const version = {
        strongroom: productVersion(),
        node: process.versions.node,
        openssl: process.versions.openssl,
      };
      if (options.json === true) printJson(version);
      else print(`strongroom ${version.strongroom} (Node.js ${version.node}, OpenSSL ${version.openssl})`);
    });
}
