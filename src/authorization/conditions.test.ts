/** Proves which conditions are understood, what they mean, and that what cannot be told never allows anything. */
import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { builtInRoles } from './built-in-roles.ts';
import { ConditionRefused, conditionActions, parseCondition } from './condition-parser.ts';
import { type ConditionSubject, compileCondition } from './conditions.ts';

const [write, remove] = conditionActions;
const reader = '21090545-7ca7-4776-b22c-e363652d74d2';
const owner = '8e3af657-a8ff-443c-a75c-2fe8c4bcb635';
const someone = '30000000-0000-4000-8000-000000000000';
const roleIs = `@Request[Microsoft.Authorization/roleAssignments:RoleDefinitionId] ForAnyOfAnyValues:GuidEquals{${reader}}`;
const roleIsNot = `@Request[Microsoft.Authorization/roleAssignments:RoleDefinitionId] ForAnyOfAllValues:GuidNotEquals {${owner}, ${reader}}`;
const isUser =
  "@Request[Microsoft.Authorization/roleAssignments:PrincipalType] ForAnyOfAnyValues:StringEqualsIgnoreCase {'User', 'Group'}";
const isWrite = `ActionMatches{'${write}'}`;

function asked(request: object): ConditionSubject {
  return { Request: request };
}

test.each<[string, string, ConditionSubject, string]>([
  [isWrite, write, {}, 'holds'],
  [isWrite, write.toUpperCase(), {}, 'holds'],
  [isWrite, remove, {}, 'fails'],
  [`!(${isWrite})`, remove, {}, 'holds'],
  [`!!${isWrite}`, remove, {}, 'fails'],
  [`NOT ${isWrite}`, write, {}, 'fails'],
  [roleIs, write, asked({ RoleDefinitionId: reader.toUpperCase() }), 'holds'],
  [roleIs, write, asked({ RoleDefinitionId: owner }), 'fails'],
  [roleIs, write, {}, 'unknown'],
  [roleIs, write, { Resource: { RoleDefinitionId: reader } }, 'unknown'],
  [`!(${roleIs})`, write, {}, 'unknown'],
  [roleIsNot, write, asked({ RoleDefinitionId: owner }), 'fails'],
  [roleIsNot, write, asked({ RoleDefinitionId: someone }), 'holds'],
  [roleIsNot, write, {}, 'unknown'],
  [isUser, write, asked({ PrincipalType: 'group' }), 'holds'],
  [isUser, write, asked({ PrincipalType: 'ServicePrincipal' }), 'fails'],
  [`${isWrite} AND ${roleIs}`, write, {}, 'unknown'],
  [`${isWrite} AND ${roleIs}`, remove, {}, 'fails'],
  [`${isWrite} OR ${roleIs}`, write, {}, 'holds'],
  [`${isWrite} || ${roleIs}`, remove, {}, 'unknown'],
  // "And" binds closer.
  [`${isWrite} OR ${roleIs} AND ${isWrite}`, write, {}, 'holds'],
  [`(${isWrite} OR ${roleIs}) && !${isWrite}`, write, asked({ RoleDefinitionId: reader }), 'fails'],
])('%s, asked for %s with %j: %s (%#)', (text, action, subject, verdict) => {
  expect(compileCondition(text)(action, subject)).toBe(verdict);
});

test('the condition of Key Vault Data Access Administrator lets eight roles be given and taken', () => {
  const role = builtInRoles.find(({ name }) => name === 'Key Vault Data Access Administrator');
  const condition = compileCondition(role?.condition ?? '');
  const allowed = (action: string, source: 'Request' | 'Resource') =>
    builtInRoles.filter(({ id }) => condition(action, { [source]: { RoleDefinitionId: id } }) === 'holds');
  expect(allowed(write, 'Request').map(({ name }) => name)).toEqual([
    'Key Vault Administrator',
    'Key Vault Certificates Officer',
    'Key Vault Crypto Officer',
    'Key Vault Crypto Service Encryption User',
    'Key Vault Crypto User',
    'Key Vault Reader',
    'Key Vault Secrets Officer',
    'Key Vault Secrets User',
  ]);
  expect(allowed(remove, 'Resource')).toEqual(allowed(write, 'Request'));
  expect(allowed(write, 'Resource')).toEqual([]);
  expect(allowed(remove, 'Request')).toEqual([]);
  expect(condition('Microsoft.KeyVault/vaults/keys/read', {})).toBe('holds');
});

describe('what is not supported is refused', () => {
  it.each([
    '',
    '   ',
    'true',
    '()',
    '(',
    ')',
    isWrite.slice(0, -1),
    `${isWrite})`,
    `(${isWrite}`,
    `${isWrite} ${isWrite}`,
    `${isWrite} AND`,
    `AND ${isWrite}`,
    `${isWrite} XOR ${isWrite}`,
    '!',
    "ActionMatches{'Microsoft.KeyVault/vaults/secrets/getSecret/action'}",
    "ActionMatches{'*'}",
    "ActionMatches{'Microsoft.Authorization/roleAssignments/*'}",
    'ActionMatches{write}',
    "SubOperationMatches{'Blob.List'}",
    `Exists ${roleIs}`,
    roleIs.replace('@Request', '@Principal'),
    roleIs.replace('@Request', '@Environment'),
    roleIs.replace('RoleDefinitionId', 'constructor'),
    roleIs.replace('RoleDefinitionId', 'Condition'),
    roleIs.replace('roleAssignments', 'roleDefinitions'),
    roleIs.replace('ForAnyOfAnyValues:GuidEquals', 'constructor'),
    roleIs.replace('ForAnyOfAnyValues:GuidEquals', 'ForAllOfAnyValues:GuidEquals'),
    roleIs.replace('ForAnyOfAnyValues:GuidEquals', 'GuidEquals'),
    roleIs.replace('ForAnyOfAnyValues:GuidEquals', 'ForAnyOfAnyValues:StringEqualsIgnoreCase'),
    roleIs.replace(`{${reader}}`, '{}'),
    roleIs.replace(`{${reader}}`, reader),
    roleIs.replace(reader, 'not-a-guid'),
    roleIs.replace(reader, `${reader} ${owner}`),
    isUser.replace("'User', 'Group'", 'User'),
    isUser.replace('StringEqualsIgnoreCase', 'StringNotEqualsIgnoreCase'),
    isUser.replace("'Group'", "'Group"),
    `${'('.repeat(5000)}${isWrite}${')'.repeat(5000)}`,
    `${'!'.repeat(100)}${isWrite}`,
    `${isWrite} OR ${Array.from({ length: 200 }, () => isWrite).join(' OR ')}`,
  ])('%s', (text) => {
    expect(() => parseCondition(text)).toThrow(ConditionRefused);
    // And if one is there all the same, it never holds.
    expect(compileCondition(text)(write, asked({ RoleDefinitionId: reader }))).toBe('fails');
  });

  it('parsing any text ends, with a condition or a refusal', () => {
    const pieces = fc.constantFrom(
      isWrite,
      roleIs,
      isUser,
      '(',
      ')',
      '!',
      ' AND ',
      ' OR ',
      '{',
      '}',
      "'",
      ',',
      '@',
      'x',
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.array(pieces).map((parts) => parts.join('')),
        ),
        (text) => {
          try {
            parseCondition(text);
          } catch (error) {
            expect(error).toBeInstanceOf(ConditionRefused);
          }
          expect(['holds', 'fails', 'unknown']).toContain(compileCondition(text)(write, {}));
        },
      ),
    );
  });
});

test('what is not known stays so under every negation: learning it only decides', () => {
  const leaf = fc.constantFrom(isWrite, roleIs, roleIsNot, isUser);
  const { tree } = fc.letrec<{ tree: string }>((tie) => ({
    tree: fc.oneof(
      { maxDepth: 4 },
      leaf,
      tie('tree').map((part) => `!(${part})`),
      fc.tuple(tie('tree'), tie('tree')).map(([a, b]) => `(${a}) AND (${b})`),
      fc.tuple(tie('tree'), tie('tree')).map(([a, b]) => `(${a}) OR (${b})`),
    ),
  }));
  const values = fc.record({
    RoleDefinitionId: fc.constantFrom(reader, owner, someone),
    PrincipalType: fc.constantFrom('User', 'ServicePrincipal'),
  });
  fc.assert(
    fc.property(tree, values, fc.constantFrom(write, remove), (text, known, action) => {
      fc.pre(text.length < 8000);
      const condition = compileCondition(text);
      const before = condition(action, {});
      const after = condition(action, asked(known));
      expect(after).not.toBe('unknown');
      if (before !== 'unknown') expect(after).toBe(before);
    }),
  );
});
