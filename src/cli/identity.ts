import { type Command, Option } from 'commander';
import { addDirectoryCommands } from './directory.ts';
import { type CredentialView, type IdentityView, identityFacts } from './identity-view.ts';
import { operate } from './operate.ts';
import { print, table } from './output.ts';
import { wholeNumber } from './vault.ts';

interface GrantView {
  readonly id: string;
  readonly principalId: string;
  readonly role: string;
  readonly scope: string;
}

export function addIdentityCommands(program: Command): void {
  const identity = program.command('identity').description('make identities, their secrets and their roles');
  addPrincipalCommands(identity);
  addDirectoryCommands(identity);
  addSecretCommands(identity);
  addGrantCommands(identity);
  identity
    .command('rotate-key')
    .description('sign tokens with a new key from now on')
    .option('--revoke', 'and refuse every token issued before')
    .option('--json', 'print JSON')
    .action(async (options: { revoke?: boolean }, command: Command) => {
      await operate(command, {
        name: 'identity rotate-key',
        input: { revoke: options.revoke },
        print: () =>
          print(options.revoke ? 'New signing key; all earlier tokens are refused.' : 'New signing key.'),
      });
    });
}

function addPrincipalCommands(identity: Command): void {
  identity
    .command('create')
    .description(
      'make an application with its service principal, a managed identity, or an external issuer’s subject',
    )
    .argument('<name>')
    .option('--managed', 'a managed identity: its tokens come from this machine, it has no secret')
    .option('--system-assigned', 'together with --managed: the identity of one resource')
    .option('--resource-id <id>', 'the Azure resource id of a managed identity')
    .option('--issuer <url>', 'an external issuer that the configuration trusts, together with --subject')
    .option('--subject <text>', 'the subject (or whichever claim is configured) of its tokens')
    .option('--public-client', 'an application that users sign in through without it proving itself')
    .option('--redirect-uri <uri>', 'an address that sign-ins are answered at; can be repeated', collected)
    .addOption(
      new Option('--first-party <service>', 'an application that stands for a service of Azure').choices([
        'deployment',
        'diskEncryption',
        'templateDeployment',
        'other',
      ]),
    )
    .option('--json', 'print JSON')
    .action(async (name: string, options: Record<string, unknown>, command: Command) => {
      const { managed, systemAssigned, resourceId, issuer, subject } = options;
      const { publicClient, redirectUri: redirectUris, firstParty } = options;
      await operate<IdentityView>(command, {
        name: 'identity create',
        input: {
          ...{ name, managed, systemAssigned, resourceId, issuer, subject },
          ...{ publicClient, redirectUris, firstParty },
        },
        print: (made) => print(identityFacts(made)),
      });
    });
  identity
    .command('list')
    .description('list the identities')
    .option('--json', 'print JSON')
    .action(async (_options: object, command: Command) => {
      await operate<{ identities: IdentityView[] }>(command, {
        name: 'identity list',
        input: {},
        print: ({ identities }) => {
          const rows = identities.map((entry) => [
            entry.name,
            entry.kind,
            entry.clientId ?? '',
            entry.objectId,
          ]);
          print(table(['NAME', 'KIND', 'CLIENT ID', 'OBJECT ID'], rows));
        },
      });
    });
}

function addSecretCommands(identity: Command): void {
  identity
    .command('secret')
    .description('make a client secret for an application; it is shown this once')
    .argument('<identity>', 'name, client id or object id')
    .option('--days <days>', 'days until it expires, 1 to 731 (default: 365)', wholeNumber)
    .option('--json', 'print JSON')
    .action(async (name: string, options: { days?: number }, command: Command) => {
      await operate<IdentityView & CredentialView & { secret: string }>(command, {
        name: 'identity secret',
        input: { identity: name, days: options.days },
        print: (made) => {
          print(`AZURE_TENANT_ID=${made.tenantId}`);
          print(`AZURE_CLIENT_ID=${made.clientId}`);
          print(`AZURE_CLIENT_SECRET=${made.secret}`);
        },
      });
    });
  identity
    .command('secrets')
    .description('list the credentials of an identity: never the secrets themselves')
    .argument('<identity>', 'name, client id or object id')
    .option('--json', 'print JSON')
    .action(async (name: string, _options: object, command: Command) => {
      await operate<{ secrets: CredentialView[] }>(command, {
        name: 'identity secrets',
        input: { identity: name },
        print: ({ secrets }) => {
          const rows = secrets.map((entry) => [entry.keyId, entry.kind, shown(entry), entry.expires]);
          print(table(['KEY ID', 'KIND', 'WHICH', 'EXPIRES'], rows));
        },
      });
    });
  identity
    .command('remove-secret')
    .description('remove a secret or another credential; it is refused from then on')
    .argument('<identity>', 'name, client id or object id')
    .argument('<key-id>')
    .option('--json', 'print JSON')
    .action(async (name: string, keyId: string, _options: object, command: Command) => {
      await operate(command, {
        name: 'identity remove-secret',
        input: { identity: name, keyId },
        print: () => print('Removed.'),
      });
    });
}

function addGrantCommands(identity: Command): void {
  identity
    .command('grant')
    .description('give an identity a role')
    .argument('<identity>', 'name, client id or object id')
    .requiredOption('--role <role>', 'a built-in or custom role, by name or GUID')
    .option('--vault <name>', 'on this vault')
    .option('--scope <id>', 'at this scope: a subscription, resource group, vault or object id')
    .option('--json', 'print JSON')
    .action(async (name: string, options: Record<string, unknown>, command: Command) => {
      const { role, vault, scope } = options;
      await operate<GrantView>(command, {
        name: 'identity grant',
        input: { identity: name, role, vault, scope },
        print: (made) => print(`${made.role} at ${made.scope} (${made.id})`),
      });
    });
  identity
    .command('grants')
    .description('list role assignments, of one identity or of all')
    .argument('[identity]', 'name, client id or object id')
    .option('--json', 'print JSON')
    .action(async (name: string | undefined, _options: object, command: Command) => {
      await operate<{ grants: GrantView[] }>(command, {
        name: 'identity grants',
        input: { identity: name },
        print: ({ grants }) => {
          const rows = grants.map((entry) => [entry.id, entry.principalId, entry.role, entry.scope]);
          print(table(['ID', 'PRINCIPAL', 'ROLE', 'SCOPE'], rows));
        },
      });
    });
  identity
    .command('revoke')
    .description('take a role assignment away')
    .argument('<id>', 'its id, as `identity grants` lists it')
    .option('--json', 'print JSON')
    .action(async (id: string, _options: object, command: Command) => {
      await operate(command, { name: 'identity revoke', input: { id }, print: () => print('Removed.') });
    });
}

/** What people know a credential by. */
function shown({ hint, thumbprint, subject }: CredentialView): string {
  return thumbprint ?? subject ?? (hint === '' ? '' : `${hint}…`);
}

function collected(uri: string, before: readonly string[] | undefined): readonly string[] {
  return [...(before ?? []), uri];
}
