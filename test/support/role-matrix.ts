/** Which built-in role allows which operation, as text for people; `test/golden/roles.txt` holds what was approved. */
import { type VaultNouns, vaultRoutes } from '../../src/api/vault/routes.ts';
import { builtInRoles, roleAllows } from '../../src/authorization/roles.ts';

export const goldenRoles = new URL('../golden/roles.txt', import.meta.url);

/** Only the handlers touch the nouns, and none is called. */
export const rows = vaultRoutes({ secrets: {}, keys: {} } as VaultNouns);

export function roleMatrix(): string {
  const width = Math.max(...rows.map((row) => row.operation.length));
  const operations = rows.map((row) => {
    const { dataAction, policyKind, permission } = row.action;
    return `  ${row.operation.padEnd(width)}  ${dataAction}  (access policy: ${policyKind} ${permission})`;
  });
  const roles = builtInRoles.map((role) => {
    const lines = rows.map((row) => {
      const verdict = roleAllows(role.id, row.action.dataAction) ? 'allows ' : 'refuses';
      return `  ${verdict}  ${row.operation}`;
    });
    return [`${role.name} (${role.id})`, ...lines].join('\n');
  });
  const head = 'What each operation needs, and which of the built-in roles, given on a vault, allows it.';
  return `${[head, ['Operations', ...operations].join('\n'), ...roles].join('\n\n')}\n`;
}

/** The verdicts of an approved text: role name → operation → allowed. */
export function parseMatrix(text: string): Map<string, Map<string, boolean>> {
  const roles = new Map<string, Map<string, boolean>>();
  for (const block of text.split('\n\n').slice(2)) {
    const [head = '', ...lines] = block.trim().split('\n');
    const verdicts = lines.map((line): [string, boolean] => {
      const [verdict, operation = ''] = line.trim().split(/ +/);
      return [operation, verdict === 'allows'];
    });
    roles.set(head.replace(/ \(.*\)$/, ''), new Map(verdicts));
  }
  return roles;
}
