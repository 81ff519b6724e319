/** The commands and their help; each command's work is in a file of its own. */
import { Command, CommanderError, Option } from 'commander';
import { ConfigError } from '../config.ts';
import { addAuditCommands } from './audit.ts';
import { addBackupCommands } from './backup.ts';
import { addEnvCommand } from './env.ts';
import { addExecCommand } from './exec.ts';
import { addIdentityCommands } from './identity.ts';
import { exitCodes, printError } from './output.ts';
import { addRootKeyCommands } from './root-key.ts';
import { addStartCommand } from './start.ts';
import { addStatusCommand } from './status.ts';
import { addVaultCommands } from './vault.ts';
import { addVersionCommand } from './version.ts';

/** Parses the arguments and runs the command; sets the exit code, and never throws. */
export async function run(argv: readonly string[]): Promise<void> {
  try {
    await buildProgram().parseAsync([...argv]);
  } catch (error) {
    process.exitCode = report(error);
  }
}

export function buildProgram(): Command {
  const program = new Command('strongroom')
    .description('A self-hosted key vault that speaks the Azure Key Vault API.')
    .enablePositionalOptions()
    .showHelpAfterError('(add --help for usage)')
    .exitOverride();
  addStartCommand(program);
  addExecCommand(program);
  addEnvCommand(program);
  addStatusCommand(program);
  addVaultCommands(program);
  addIdentityCommands(program);
  addRootKeyCommands(program);
  addAuditCommands(program);
  addBackupCommands(program);
  addVersionCommand(program);
  for (const command of leaves(program)) addFolderOptions(command);
  return program;
}

function leaves(command: Command): Command[] {
  return command.commands.length === 0 ? [command] : command.commands.flatMap(leaves);
}

/** Commands that talk to a serving process, or read what is not sealed, and never open the root key. */
const keyless = ['exec', 'env', 'status', 'tail'];

/** Which server is meant: every command takes these, in the same words. */
function addFolderOptions(command: Command): void {
  if (command.name() === 'version') return;
  command
    .addOption(new Option('--data <folder>', 'the folder of all data (default: .strongroom)'))
    .addOption(new Option('--config <file>', 'a YAML file with settings'));
  if (keyless.includes(command.name())) return;
  command
    .addOption(new Option('--passphrase-file <file>', 'a file that holds the passphrase of the root key'))
    .addOption(new Option('--database-url <url>', 'the data is in PostgreSQL, at this postgres:// address'))
    .addOption(
      new Option('--database-url-file <file>', 'a file that holds the address, if it has a password'),
    )
    .addOption(new Option('--database-tls-ca <file>', 'PEM file of the authority of its TLS certificate'));
}

function report(error: unknown): number {
  if (error instanceof CommanderError) {
    // Commander has printed its own words already.
    return error.exitCode === 0 ? exitCodes.success : exitCodes.usage;
  }
  if (error instanceof ConfigError) {
    printError(`strongroom: ${error.message}`);
    return exitCodes.usage;
  }
  const { name, kind, message } = error as { name?: string; kind?: string; message?: string };
  const expected = name === 'Failure' || name === 'StartRefused';
  if (expected) printError(`strongroom: ${message}`);
  else printError(`strongroom: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  return kind === 'notFound' || kind === 'vaultNotFound' ? exitCodes.notFound : exitCodes.failure;
}
