import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import type { Command } from 'commander';
import { callerEnvironment } from '../config.ts';
import { clientVariables, type Variables } from './client-environment.ts';
import { connectEphemeral, connectServing } from './connect.ts';
import { printError } from './output.ts';

/** The shell's codes for a command that is not there, or cannot be run. */
const notFound = 127;
const notExecutable = 126;

export function addExecCommand(program: Command): void {
  program
    .command('exec')
    .description(
      'run a command whose Azure Key Vault calls come to this server; its exit code is the command’s',
    )
    .argument('<command...>', 'the command and its arguments, after --')
    .option('--ephemeral', 'on a throw-away server, started for this command and removed after it')
    .option('--managed-identity', 'sign in as the managed identity instead of the service principal')
    .passThroughOptions()
    .addHelpText('after', '\nExample:\n  strongroom exec -- node app.mjs')
    .action(
      async (
        words: string[],
        options: { ephemeral?: boolean; managedIdentity?: boolean },
        command: Command,
      ) => {
        const connection =
          options.ephemeral === true ? await connectEphemeral() : await connectServing(command);
        try {
          const inherited = callerEnvironment();
          const as = options.managedIdentity === true ? 'managedIdentity' : 'servicePrincipal';
          process.exitCode = await runCommand(words, {
            ...inherited,
            ...clientVariables(connection.environment, as, inherited),
          });
        } finally {
          await connection.close();
        }
      },
    );
}

const forwarded = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const;

/** Runs the command with our terminal; resolves to its exit code, 128 plus the number for a signal. */
function runCommand(words: readonly string[], environment: Variables): Promise<number> {
  const [file = '', ...args] = words;
  // Variables that are undefined are left out: Node would pass the word "undefined".
  const set = Object.entries(environment).filter(([, value]) => value !== undefined);
  const child = spawn(file, args, { stdio: 'inherit', env: Object.fromEntries(set) });
  const pass = (signal: NodeJS.Signals) => {
    child.kill(signal);
  };
  for (const signal of forwarded) process.on(signal, pass);
  return new Promise<number>((resolve) => {
    child.once('error', (error: NodeJS.ErrnoException) => {
      printError(
        `strongroom: ${file} cannot be run: ${error.code === 'ENOENT' ? 'there is no such command' : error.message}`,
      );
      resolve(error.code === 'ENOENT' ? notFound : notExecutable);
    });
    child.once('exit', (code, signal) =>
      resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal])),
    );
  }).finally(() => {
    for (const signal of forwarded) process.off(signal, pass);
  });
}
