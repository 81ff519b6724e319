import type { Command } from 'commander';
import { readPassphrase } from '../config.ts';
import { operate } from './operate.ts';
import { print } from './output.ts';

export function addRootKeyCommands(program: Command): void {
  const rootKey = program.command('root-key').description('rotate and protect the root key');
  rootKey
    .command('rotate')
    .description('make a new root key and move everything under it, while the server serves')
    .option('--json', 'print JSON')
    .action(async (_options: object, command: Command) => {
      await operate<{ keyId: string; moved: number }>(command, {
        name: 'root-key rotate',
        input: {},
        print: ({ keyId, moved }) => {
          print(`The root key is now ${keyId}; ${moved} keys were moved under it, and the old one is gone.`);
          print('Copies of the data that were made before open with the old root key only.');
        },
      });
    });
  rootKey
    .command('protect')
    .description('put the root key under a passphrase, or into a plain file of mode 0600')
    .option('--new-passphrase-file <file>', 'a file that holds the new passphrase; without it, no passphrase')
    .option('--json', 'print JSON')
    .action(async (options: { newPassphraseFile?: string }, command: Command) => {
      const file = options.newPassphraseFile;
      const passphrase = file === undefined ? undefined : readPassphrase(file);
      await operate<{ protector: string }>(command, {
        name: 'root-key protect',
        input: { passphrase },
        print: ({ protector }) => {
          print(
            protector === 'file'
              ? 'The root key is in a plain file.'
              : 'The root key is under the passphrase.',
          );
        },
      });
    });
}
