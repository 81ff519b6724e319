import type { Command } from 'commander';
import { servingControl } from '../service/serving-control.ts';
import { exitCodes, facts, print, printError, printJson } from './output.ts';
import { configOf } from './settings.ts';

interface Status {
  readonly version: string;
  readonly pid: number;
  readonly upSeconds: number;
  readonly data: string;
  readonly port: number;
  readonly localPort?: number;
  readonly tenantId: string;
  readonly subscriptionId: string;
  readonly rootKey: string;
  readonly database: string;
  readonly workers: number;
  readonly vaults: readonly { name: string; vaultUri: string }[];
}

export function addStatusCommand(program: Command): void {
  program
    .command('status')
    .description('say whether a server serves the data folder, and where; exit code 3 if none does')
    .option('--json', 'print JSON')
    .action(async (options: { json?: boolean }, command: Command) => {
      const config = configOf(command);
      const control = await servingControl(config);
      if (control === undefined) {
        process.exitCode = exitCodes.notFound;
        if (options.json === true) printJson({ serving: false, data: config.data });
        else printError(`No server serves ${config.data}.`);
        return;
      }
      const status = (await control('status', {})) as Status;
      if (options.json === true) printJson(status);
      else print(statusFacts(status));
    });
}

function processes({ pid, workers }: Status): string {
  return workers === 1 ? `process ${pid}` : `${workers} workers, the first is process ${pid}`;
}

function statusFacts(status: Status): string {
  return facts([
    ['serving', `yes, ${processes(status)}, for ${status.upSeconds} s`],
    ['version', status.version],
    ['data', status.data],
    ['database', status.database],
    ['https port', String(status.port)],
    ['loopback port', status.localPort === undefined ? 'off' : String(status.localPort)],
    ['tenant', status.tenantId],
    ['subscription', status.subscriptionId],
    ['root key', status.rootKey === 'file' ? 'in a file' : 'under a passphrase'],
    ...status.vaults.map((vault) => [`vault ${vault.name}`, vault.vaultUri] as const),
  ]);
}
