import { type ChildProcess, spawn } from 'node:child_process';
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
        const signals = holdSignals();
        try {
          const connection =
            options.ephemeral === true ? await connectEphemeral() : await connectServing(command);
          try {
            const inherited = callerEnvironment();
            const as = options.managedIdentity === true ? 'managedIdentity' : 'servicePrincipal';
            const variables = clientVariables(connection.environment, as, inherited);
            // The passphrase is the server's, and none of the command's business.
            const environment = { ...inherited, ...variables, STRONGROOM_PASSPHRASE: undefined };
            process.exitCode = await runCommand(words, environment, signals);
          } finally {
            await connection.close();
          }
        } finally {
          signals.release();
        }
      },
    );
}

const forwarded = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const;

/** From here on a signal is for the command to act on; this process lives on to clean up after it. */
interface HeldSignals {
  /** One that came before there was a command. */
  readonly early: NodeJS.Signals | undefined;
  passTo(child: ChildProcess): void;
  release(): void;
}

/** A terminal gives what is typed to the command as well, which must not get it twice. */
function isTyped(signal: NodeJS.Signals): boolean {
  return process.stdin.isTTY === true && (signal === 'SIGINT' || signal === 'SIGQUIT');
}

function holdSignals(): HeldSignals {
  let early: NodeJS.Signals | undefined;
  let receiver: ChildProcess | undefined;
  const pass = (signal: NodeJS.Signals) => {
    if (receiver === undefined) early ??= signal;
    else if (!isTyped(signal)) receiver.kill(signal);
  };
  for (const signal of forwarded) process.on(signal, pass);
  return {
    get early() {
      return early;
    },
    passTo(child) {
      receiver = child;
    },
    release() {
      for (const signal of forwarded) process.off(signal, pass);
    },
  };
}

/** Runs the command with our terminal; resolves to its exit code, 128 plus the number for a signal. */
function runCommand(words: readonly string[], environment: Variables, signals: HeldSignals): Promise<number> {
  if (signals.early !== undefined) return Promise.resolve(codeOf(signals.early));
  const [file = '', ...args] = words;
  // Variables that are undefined are left out: Node would pass the word "undefined".
  const set = Object.entries(environment).filter(([, value]) => value !== undefined);
  const child = spawn(file, args, { stdio: 'inherit', env: Object.fromEntries(set) });
  signals.passTo(child);
  return new Promise<number>((resolve) => {
    child.once('error', (error: NodeJS.ErrnoException) => {
      printError(
        `strongroom: ${file} cannot be run: ${error.code === 'ENOENT' ? 'there is no such command' : error.message}`,
      );
      resolve(error.code === 'ENOENT' ? notFound : notExecutable);
    });
    child.once('exit', (code, signal) => resolve(code ?? codeOf(signal)));
  });
}

function codeOf(signal: NodeJS.Signals | null): number {
  return 128 + (signal === null ? 0 : constants.signals[signal]);
}
