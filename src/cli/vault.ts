import { type Command, InvalidArgumentError } from 'commander';
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
    .option('--json', 'print JSON')
    .action(async (name: string, { json: _json, ...options }: Record<string, unknown>, command: Command) => {
      await operate<VaultView>(command, {
        name: 'vault create',
        input: { name, ...options },
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
    ['created', vault.created],
  ]);
}

export function wholeNumber(text: string): number {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError('It must be a whole number.');
  return Number(text);
}
