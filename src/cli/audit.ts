import type { Command } from 'commander';
import type { AuditVerification } from '../service.ts';
import { exitCodes, print, printJson } from './output.ts';
import { configOf } from './settings.ts';
import { wholeNumber } from './vault.ts';

export function addAuditCommands(program: Command): void {
  const audit = program.command('audit').description('check and read the audit log');
  audit
    .command('verify')
    .description('check that no audit record was changed, removed or added; exit code 1 if one was')
    .option('--json', 'print JSON')
    .action(async (options: { json?: boolean }, command: Command) => {
      const { verifyAudit } = await import('../service.ts');
      const result = await verifyAudit(configOf(command));
      if (options.json === true) printJson(result);
      else report(result);
      if (result.problemCount > 0) process.exitCode = exitCodes.failure;
    });
  audit
    .command('tail')
    .description('print the newest audit records, one JSON object a line')
    .option('-n, --lines <number>', 'how many (default: 20)', wholeNumber)
    .option('-f, --follow', 'go on with new ones until interrupted')
    .action(async (options: { lines?: number; follow?: boolean }, command: Command) => {
      const { tailAudit } = await import('../service.ts');
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

function report(result: AuditVerification): void {
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
