import type { Command } from 'commander';
import { tailAudit } from '../service.ts';
import { operate } from './operate.ts';
import { exitCodes, print } from './output.ts';
import { configOf } from './settings.ts';
import { wholeNumber } from './vault.ts';

interface Verification {
  readonly records: number;
  readonly files: number;
  readonly firstTime?: string;
  readonly lastTime?: string;
  readonly problems: readonly { file: string; line: number; message: string }[];
  readonly problemCount: number;
}

export function addAuditCommands(program: Command): void {
  const audit = program.command('audit').description('check and read the audit log');
  audit
    .command('verify')
    .description('check that no audit record was changed, removed or added; exit code 1 if one was')
    .option('--json', 'print JSON')
    .action(async (_options: object, command: Command) => {
      const result = await operate<Verification>(command, { name: 'audit verify', input: {}, print: report });
      if (result.problemCount > 0) process.exitCode = exitCodes.failure;
    });
  audit
    .command('tail')
    .description('print the newest audit records, one JSON object a line')
    .option('-n, --lines <number>', 'how many (default: 20)', wholeNumber)
    .option('-f, --follow', 'go on with new ones until interrupted')
    .action(async (options: { lines?: number; follow?: boolean }, command: Command) => {
      const interrupted = new AbortController();
      process.once('SIGINT', () => interrupted.abort());
      const lines = tailAudit(configOf(command), {
        lines: options.lines ?? 20,
        follow: options.follow === true,
        signal: interrupted.signal,
      });
      for await (const line of lines) print(line);
    });
}

function report(result: Verification): void {
  const span = result.firstTime === undefined ? '' : `, from ${result.firstTime} to ${result.lastTime}`;
  print(`${result.records} records in ${result.files} files${span}`);
  for (const problem of result.problems) print(`${problem.file}:${problem.line}: ${problem.message}`);
  if (result.problemCount > result.problems.length) print(`… ${result.problemCount} problems in all`);
  print(
    result.problemCount === 0
      ? 'The audit log is whole.'
      : 'The audit log has been tampered with, or lost records.',
  );
}
