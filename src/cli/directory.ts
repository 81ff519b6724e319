/** The commands of `identity` on users, groups, certificates, and who is enabled and may change the directory. */
import { readFileSync } from 'node:fs';
import { type Command, InvalidArgumentError } from 'commander';
import { type CredentialView, type IdentityView, identityFacts } from './identity-view.ts';
import { operate } from './operate.ts';
import { print, table } from './output.ts';
import { wholeNumber } from './vault.ts';

const whichIdentity = 'name, user name, client id or object id';

export function addDirectoryCommands(identity: Command): void {
  addUserCommands(identity);
  addGroupCommands(identity);
  addCredentialCommands(identity);
  addStateCommands(identity);
}

type WithPassword = IdentityView & { readonly password?: string };

function addUserCommands(identity: Command): void {
  identity
    .command('create-user')
    .description('make a user; without a password file, a password is made and shown this once')
    .argument('<user-name>', 'such as someone@example.com')
    .option('--display-name <name>', 'the name to show (default: the user name)')
    .option('--password-file <file>', 'a file whose first line is the password', firstLine)
    .option('--json', 'print JSON')
    .action(
      async (
        userName: string,
        options: { displayName?: string; passwordFile?: string },
        command: Command,
      ) => {
        await operate<WithPassword>(command, {
          name: 'identity create-user',
          input: { userName, name: options.displayName, password: options.passwordFile },
          print: (made) => {
            print(identityFacts(made));
            if (made.password !== undefined) print(`Password: ${made.password}`);
          },
        });
      },
    );
  identity
    .command('set-password')
    .description('give a user a new password; without a file, one is made and shown this once')
    .argument('<user>', whichIdentity)
    .option('--password-file <file>', 'a file whose first line is the password', firstLine)
    .option('--json', 'print JSON')
    .action(async (user: string, options: { passwordFile?: string }, command: Command) => {
      await operate<WithPassword>(command, {
        name: 'identity set-password',
        input: { identity: user, password: options.passwordFile },
        print: ({ password }) => print(password === undefined ? 'Set.' : `Password: ${password}`),
      });
    });
}

function addGroupCommands(identity: Command): void {
  identity
    .command('create-group')
    .description('make a group, which can be given roles for all its members')
    .argument('<name>')
    .option('--json', 'print JSON')
    .action(async (name: string, _options: object, command: Command) => {
      await operate<IdentityView>(command, {
        name: 'identity create-group',
        input: { name },
        print: (made) => print(identityFacts(made)),
      });
    });
  identity
    .command('members')
    .description('list the direct members of a group')
    .argument('<group>', whichIdentity)
    .option('--json', 'print JSON')
    .action(async (group: string, _options: object, command: Command) => {
      await operate<{ members: IdentityView[] }>(command, {
        name: 'identity members',
        input: { group },
        print: ({ members }) => {
          const rows = members.map((entry) => [entry.name, entry.kind, entry.objectId]);
          print(table(['NAME', 'KIND', 'OBJECT ID'], rows));
        },
      });
    });
  for (const [word, description] of [
    ['add-member', 'put an identity, or another group, into a group'],
    ['remove-member', 'take an identity out of a group'],
  ] as const) {
    identity
      .command(word)
      .description(description)
      .argument('<group>', whichIdentity)
      .argument('<member>', whichIdentity)
      .option('--json', 'print JSON')
      .action(async (group: string, member: string, _options: object, command: Command) => {
        await operate(command, {
          name: `identity ${word}`,
          input: { group, member },
          print: () => print(word === 'add-member' ? 'Added.' : 'Removed.'),
        });
      });
  }
}

function addCredentialCommands(identity: Command): void {
  identity
    .command('add-certificate')
    .description(
      'let an application prove itself by a certificate; its private key stays with the application',
    )
    .argument('<identity>', whichIdentity)
    .argument('<file>', 'a PEM file with the certificate; a private key in it is not read', certificateIn)
    .option('--days <days>', 'days until it is refused, if that is before it expires', wholeNumber)
    .option('--json', 'print JSON')
    .action(async (name: string, certificate: string, options: { days?: number }, command: Command) => {
      await operate<CredentialView>(command, {
        name: 'identity add-certificate',
        input: { identity: name, certificate, days: options.days },
        print: (made) => print(`${made.thumbprint ?? ''} until ${made.expires} (${made.keyId})`),
      });
    });
  identity
    .command('add-federated')
    .description('take tokens of another issuer as proof of an application')
    .argument('<identity>', whichIdentity)
    .requiredOption('--name <name>', 'a name for the trust')
    .requiredOption('--issuer <url>', 'the issuer of the tokens')
    .requiredOption('--subject <text>', 'their subject')
    .option('--audience <text>', 'their audience (default: api://AzureADTokenExchange)')
    .option('--json', 'print JSON')
    .action(async (identityName: string, options: Record<string, string>, command: Command) => {
      const { name, issuer, subject, audience } = options;
      await operate<CredentialView>(command, {
        name: 'identity add-federated',
        input: { identity: identityName, name, issuer, subject, audience },
        print: (made) => print(`${made.subject ?? ''} of ${made.issuer ?? ''} (${made.keyId})`),
      });
    });
}

function addStateCommands(identity: Command): void {
  for (const [word, description, done] of [
    ['enable', 'let a disabled identity sign in and act again', 'Enabled.'],
    ['disable', 'refuse an identity, and all tokens that it has, until it is enabled', 'Disabled.'],
    ['delete', 'remove an identity for good; role assignments that name it stay', 'Deleted.'],
  ] as const) {
    identity
      .command(word)
      .description(description)
      .argument('<identity>', whichIdentity)
      .option('--json', 'print JSON')
      .action(async (name: string, _options: object, command: Command) => {
        await operate(command, {
          name: `identity ${word}`,
          input: { identity: name },
          print: () => print(done),
        });
      });
  }
  identity
    .command('directory-admin')
    .description('let an identity change the whole directory through Microsoft Graph')
    .argument('<identity>', whichIdentity)
    .option('--revoke', 'no longer')
    .option('--json', 'print JSON')
    .action(async (name: string, options: { revoke?: boolean }, command: Command) => {
      await operate<IdentityView>(command, {
        name: 'identity directory-admin',
        input: { identity: name, revoke: options.revoke },
        print: (changed) => print(identityFacts(changed)),
      });
    });
}

function firstLine(path: string): string {
  return readText(path).split(/\r?\n/, 1)[0] ?? '';
}

/** The file's one certificate and nothing else of it: what is sent on must not hold a key. */
function certificateIn(path: string): string {
  const found = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/.exec(readText(path))?.[0];
  if (found === undefined) throw new InvalidArgumentError('There is no certificate in PEM in it.');
  return found;
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    throw new InvalidArgumentError('The file cannot be read.');
  }
}
