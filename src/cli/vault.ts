import { type Command, InvalidArgumentError, Option } from 'commander';
import { operate } from './operate.ts';
import { facts, print, table } from './output.ts';

interface VaultView {
  readonly name: string;
  readonly vaultUri: string;
  readonly id: string;
  readonly tenantId: string;
  readonly location: string;
  readonly sku: string;
  readonly enableRbacAuthorization: boolean;
  readonly softDeleteRetentionInDays: number;
  readonly enablePurgeProtection: boolean;
  readonly publicNetworkAccess: string;
  readonly networkRules: {
    readonly defaultAction: string;
    readonly bypass: string;
    readonly ipRules: readonly string[];
    readonly virtualNetworkRules?: readonly { readonly id: string }[];
  };
  /** Names of approved connections. */
  readonly privateEndpoints: readonly string[];
  readonly accessPolicies: readonly {
    readonly objectId: string;
    readonly permissions: Readonly<Record<string, readonly string[]>>;
  }[];
  readonly created: string;
}

export function addVaultCommands(program: Command): void {
  const vault = program.command('vault').description('make and show vaults');
  vault
    .command('create')
    .description('make a vault')
    .argument('<name>', '3 to 24 letters, digits and hyphens')
    .option('--resource-group <name>', 'an existing resource group (default: default)')
    .option('--location <name>', 'what the vault says of its region (default: local)')
    .option('--sku <sku>', 'standard or premium')
    .option('--access-policies', 'use access policies instead of role assignments')
    .option(
      '--retention-days <days>',
      'days that deleted objects can be recovered, 7 to 90 (default: 90)',
      wholeNumber,
    )
    .option('--purge-protection', 'let nobody purge before the retention ends; cannot be undone')
    .addOption(
      new Option(
        '--public-network-access <state>',
        'Disabled refuses every request that comes by no private endpoint',
      ).choices(['Enabled', 'Disabled']),
    )
    .addOption(
      new Option('--default-action <action>', 'what happens to addresses that no --ip-rule names').choices([
        'Allow',
        'Deny',
      ]),
    )
    .option('--ip-rule <range>', 'an address or CIDR range that may come in; repeat for more', collect)
    .option('--json', 'print JSON')
    .action(async (name: string, options: Record<string, unknown>, command: Command) => {
      const { resourceGroup, location, sku, accessPolicies, retentionDays, purgeProtection } = options;
      const { publicNetworkAccess, defaultAction, ipRule: ipRules } = options;
      await operate<VaultView>(command, {
        name: 'vault create',
        input: {
          name,
          resourceGroup,
          location,
          sku,
          accessPolicies,
          retentionDays,
          purgeProtection,
          publicNetworkAccess,
          defaultAction,
          ipRules,
        },
        print: (made) => {
          print(`Made ${made.vaultUri}`);
          print(
            `Give someone access: strongroom identity grant IDENTITY --role "Key Vault Secrets Officer" --vault ${made.name}`,
          );
        },
      });
    });
  vault
    .command('list')
    .description('list the vaults')
    .option('--json', 'print JSON')
    .action(async (_options: object, command: Command) => {
      await operate<{ vaults: VaultView[] }>(command, {
        name: 'vault list',
        input: {},
        print: ({ vaults }) => {
          const rows = vaults.map((entry) => [entry.name, entry.vaultUri, entry.sku, permissionModel(entry)]);
          print(table(['NAME', 'ADDRESS', 'SKU', 'PERMISSIONS'], rows));
        },
      });
    });
  vault
    .command('show')
    .description('show one vault')
    .argument('<name>')
    .option('--json', 'print JSON')
    .action(async (name: string, _options: object, command: Command) => {
      await operate<VaultView>(command, {
        name: 'vault show',
        input: { name },
        print: (shown) => print(vaultFacts(shown)),
      });
    });
  addPolicyCommand(vault);
  vault
    .command('rotate-key')
    .description("give a vault a new key and move all its objects' keys to it, while it serves")
    .argument('<name>')
    .option('--json', 'print JSON')
    .action(async (name: string, _options: object, command: Command) => {
      await operate<{ version: number; moved: number }>(command, {
        name: 'vault rotate-key',
        input: { name },
        print: ({ version, moved }) =>
          print(`The vault's key is now version ${version}; ${moved} object versions were moved to it.`),
      });
    });
}

function addPolicyCommand(vault: Command): void {
  vault
    .command('set-policy')
    .description('say what an identity may do in a vault made with --access-policies')
    .argument('<name>')
    .argument('<identity>', 'name, client id or object id')
    .option(
      '--secrets <permissions>',
      'all, get, list, set, delete, backup, restore, recover, purge, with commas between; none for nothing',
      'none',
    )
    .option(
      '--keys <permissions>',
      'all, get, list, create, import, update, delete, backup, restore, recover, purge, encrypt, decrypt, wrapKey, unwrapKey, sign, verify, release, rotate, getRotationPolicy, setRotationPolicy; none for nothing',
      'none',
    )
    .option(
      '--certificates <permissions>',
      'all, get, list, create, import, update, delete, backup, restore, recover, purge, manageContacts, getIssuers, listIssuers, setIssuers, deleteIssuers, manageIssuers; none for nothing',
      'none',
    )
    .option('--json', 'print JSON')
    .action(async (name: string, identity: string, options: PolicyOptions, command: Command) => {
      const { secrets, keys, certificates } = options;
      const permissions = {
        secrets: verbsOf(secrets),
        keys: verbsOf(keys),
        certificates: verbsOf(certificates),
      };
      await operate<VaultView>(command, {
        name: 'vault set-policy',
        input: { name, identity, ...permissions },
        print: (changed) => print(vaultFacts(changed)),
      });
    });
}

interface PolicyOptions {
  readonly secrets: string;
  readonly keys: string;
  readonly certificates: string;
}

function verbsOf(text: string): string[] {
  const verbs = text.split(',').map((verb) => verb.trim().toLowerCase());
  return verbs.filter((verb) => verb !== '' && verb !== 'none');
}

function permissionModel(vault: VaultView): string {
  return vault.enableRbacAuthorization ? 'Azure RBAC' : 'access policies';
}

function vaultFacts(vault: VaultView): string {
  return facts([
    ['name', vault.name],
    ['address', vault.vaultUri],
    ['through the proxy', `https://${vault.name}.vault.azure.net/`],
    ['id', vault.id],
    ['tenant', vault.tenantId],
    ['location', vault.location],
    ['sku', vault.sku],
    ['permissions', permissionModel(vault)],
    ['soft delete', `${vault.softDeleteRetentionInDays} days`],
    ['purge protection', vault.enablePurgeProtection ? 'on' : 'off'],
    ['network', networkWords(vault)],
    ...vault.accessPolicies.map(({ objectId, permissions }): [string, string] => [
      'access policy',
      `${objectId}: ${permissionWords(permissions)}`,
    ]),
    ['created', vault.created],
  ]);
}

function permissionWords(permissions: Readonly<Record<string, readonly string[]>>): string {
  const kinds = Object.entries(permissions).filter(([, list]) => list.length > 0);
  return kinds.length === 0
    ? 'nothing'
    : kinds.map(([kind, list]) => `${kind} ${list.join(', ')}`).join('; ');
}

/** Who the vault's network lets in, in words. */
export function networkWords(
  vault: Pick<VaultView, 'publicNetworkAccess' | 'networkRules' | 'privateEndpoints'>,
): string {
  const { defaultAction, bypass, ipRules, virtualNetworkRules = [] } = vault.networkRules;
  const isPublic = vault.publicNetworkAccess !== 'Disabled';
  if (isPublic && defaultAction === 'Allow') return 'open to every address';
  const named = isPublic ? [...ipRules, ...virtualNetworkRules.map(({ id }) => id)] : [];
  const allowed = [
    ...named,
    ...vault.privateEndpoints.map((name) => `private endpoint ${name}`),
    ...(bypass === 'None' ? [] : ['trusted services']),
  ];
  return allowed.length === 0 ? 'closed to everyone' : `open to ${allowed.join(', ')}; to no one else`;
}

function collect(value: string, earlier: readonly string[] = []): readonly string[] {
  return [...earlier, value];
}

export function wholeNumber(text: string): number {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError('It must be a whole number.');
  return Number(text);
}
