/** Which built-in role allows which operation, as text for people; the files in `test/golden` hold what was approved. */
import { type VaultNouns, vaultRoutes } from '../../src/api/vault/routes.ts';
import { builtInRoles } from '../../src/authorization/built-in-roles.ts';
import { managementActions } from '../../src/authorization/management-actions.ts';
import { rolePermits } from '../../src/authorization/roles.ts';

export const goldenRoles = new URL('../golden/roles.txt', import.meta.url);
export const goldenManagementRoles = new URL('../golden/management-roles.txt', import.meta.url);

/** Only the handlers touch the nouns, and none is called. */
export const rows = vaultRoutes({ secrets: {}, keys: {}, certificates: {} } as VaultNouns);

export function roleMatrix(): string {
  const width = Math.max(...rows.map((row) => row.operation.length));
  const operations = rows.map((row) => {
    const { dataAction, policyKind, permission, orPermission } = row.action;
    const permissions = orPermission === undefined ? permission : `${permission} or ${orPermission}`;
    return `  ${row.operation.padEnd(width)}  ${dataAction}  (access policy: ${policyKind} ${permissions})`;
  });
  const roles = builtInRoles.map((role) => {
    const lines = rows.map((row) => {
      const verdict = rolePermits(role, 'dataAction', row.action.dataAction) ? 'allows ' : 'refuses';
      return `  ${verdict}  ${row.operation}`;
    });
    return [`${role.name} (${role.id})`, ...lines].join('\n');
  });
  const head = 'What each operation needs, and which of the built-in roles, given on a vault, allows it.';
  return `${[head, ['Operations', ...operations].join('\n'), ...roles].join('\n\n')}\n`;
}

/** The same for the actions of the management plane; a role's condition is written out. */
export function managementMatrix(): string {
  const roles = builtInRoles.map((role) => {
    const condition = role.condition === undefined ? [] : [`  if       ${role.condition}`];
    const lines = managementActions.map((action) => {
      const verdict = rolePermits(role, 'action', action) ? 'allows ' : 'refuses';
      return `  ${verdict}  ${action}`;
    });
    return [`${role.name} (${role.id})`, ...condition, ...lines].join('\n');
  });
  const head = 'Which of the built-in roles allows which action of the management plane.';
  return `${[head, ...roles].join('\n\n')}\n`;
}

/** The verdicts of an approved text: role name → operation or action → allowed. */
export function parseMatrix(text: string): Map<string, Map<string, boolean>> {
  const roles = new Map<string, Map<string, boolean>>();
  for (const block of text.split('\n\n')) {
    const [head = '', ...rest] = block.trim().split('\n');
    const lines = rest.filter((line) => /^ {2}(?:allows|refuses) /.test(line));
    if (lines.length === 0) continue;
    const verdicts = lines.map((line): [string, boolean] => {
      const [verdict, operation = ''] = line.trim().split(/ +/);
      return [operation, verdict === 'allows'];
    });
    roles.set(head.replace(/ \(.*\)$/, ''), new Map(verdicts));
  }
  return roles;
}
