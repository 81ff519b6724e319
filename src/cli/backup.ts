/** `backup` and `restore`: the whole server into one sealed file, and from it into an empty server. */
import type { Command } from 'commander';
import type { CopyReport, Progress } from '../service.ts';
import { print, printError, printJson } from './output.ts';
import { configOf } from './settings.ts';

export function addBackupCommands(program: Command): void {
  program
    .command('backup')
    .description('copy the whole server into a sealed file, while it serves or while none does')
    .argument('<file>', 'the file to make, or - for standard output')
    .option('--force', 'replace the file if it is there')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      '\nThe root key is not in the backup, and nothing opens it without: keep a copy of root-key.json elsewhere.\nThe audit log is not in it either; copy its files.',
    )
    .action(async (file: string, options: { force?: boolean; json?: boolean }, command: Command) => {
      const config = configOf(command);
      const toStream = file === '-';
      const to = toStream ? process.stdout : { file, replace: options.force === true };
      if (toStream && process.stdout.isTTY) {
        command.error('error: a backup is not written to a terminal; redirect the output', { exitCode: 2 });
      }
      const report = await interruptible(options, async (how) => {
        const { backUpServer } = await import('../service.ts');
        return backUpServer(config, { to, ...how });
      });
      // With the backup itself on standard output, what is said about it has to go elsewhere.
      const say = toStream ? printError : print;
      if (options.json === true) say(JSON.stringify({ file, ...report }, null, 2));
      else {
        say(`Backed up ${contentOf(report)}${toStream ? '' : ` to ${file}`} (${costOf(report)}).`);
        say(
          `The root key is not in it: without a copy of ${config.paths.rootKey}, nobody can open this backup.`,
        );
      }
    });
  program
    .command('restore')
    .description('put a backup into an empty server, on SQLite or PostgreSQL')
    .argument('<file>', 'the backup')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      '\nThe data folder has to hold a copy of the root-key.json of the server that was backed up, and no data.\nThe whole backup is checked before anything is changed.',
    )
    .action(async (file: string, options: { json?: boolean }, command: Command) => {
      const config = configOf(command);
      const report = await interruptible(options, async (how) => {
        const { restoreServer } = await import('../service.ts');
        return restoreServer(config, { file, ...how });
      });
      if (options.json === true) printJson({ file, ...report });
      else print(`Restored ${contentOf(report)} from ${file} (${costOf(report)}).`);
    });
}

const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

interface How {
  readonly progress: Progress | undefined;
  readonly signal: AbortSignal;
}

/** Runs the work with its progress on the terminal; a signal ends it in order. */
async function interruptible<T>(
  { json }: { readonly json?: boolean },
  work: (how: How) => Promise<T>,
): Promise<T> {
  const controller = new AbortController();
  const interrupt = () => controller.abort();
  for (const signal of signals) process.once(signal, interrupt);
  const isShown = process.stderr.isTTY && json !== true;
  try {
    return await work({ progress: isShown ? showProgress() : undefined, signal: controller.signal });
  } finally {
    for (const signal of signals) process.removeListener(signal, interrupt);
    if (isShown) process.stderr.write(clearLine);
  }
}

/** Back to the first column, and everything behind it gone (ECMA-48 EL). */
const clearLine = '\r\u001b[K';

/** One line, written anew at each whole per cent. */
function showProgress(): Progress {
  let shown = '';
  return (step, done, total) => {
    const line = `${step} ${total === 0 ? 100 : Math.floor((done * 100) / total)} %`;
    if (line === shown) return;
    shown = line;
    process.stderr.write(`${clearLine}${line}`);
  };
}

function contentOf({ rows }: CopyReport): string {
  const counts: readonly [number | undefined, string, string][] = [
    [rows.vaults, 'vault', 'vaults'],
    [rows.objects, 'secret', 'secrets'],
    [rows.object_versions, 'version', 'versions'],
    [rows.principals, 'identity', 'identities'],
    [rows.role_assignments, 'role assignment', 'role assignments'],
  ];
  return counts
    .map(([count = 0, one, more]) => `${count.toLocaleString('en')} ${count === 1 ? one : more}`)
    .join(', ');
}

function costOf({ bytes, seconds }: CopyReport): string {
  const megabytes = bytes / 1e6;
  return `${megabytes.toFixed(megabytes < 10 ? 2 : 0)} MB, ${seconds.toFixed(1)} s`;
}
