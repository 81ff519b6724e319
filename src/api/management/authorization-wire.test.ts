/** Proves which filters of role lists are understood, and that no other is taken for one of them. */
import { describe, expect, it } from 'vitest';
import { isFailure } from '../../core/errors.ts';
import { parseAssignmentFilter, parseDefinitionFilter } from './authorization-wire.ts';

const id = '30000000-0000-4000-8000-00000000000A';

function refusalOf(work: () => unknown): boolean {
  try {
    work();
  } catch (error) {
    return isFailure(error, 'invalidFilter');
  }
  return false;
}

describe('of assignments', () => {
  it.each<[string | null, object]>([
    [null, {}],
    ['  ', {}],
    ['atScope()', { atScope: true }],
    ['ATSCOPE()', { atScope: true }],
    [`principalId eq '${id}'`, { principalId: id.toLowerCase() }],
    [`principalId eq ${id}`, { principalId: id.toLowerCase() }],
    [` atScope()  AND  assignedTo('${id}') `, { atScope: true, assignedTo: id.toLowerCase() }],
  ])('%j', (filter, parsed) => {
    expect(parseAssignmentFilter(filter)).toEqual(parsed);
  });

  it.each([
    'atScope',
    'not atScope()',
    'atScope() or atScope()',
    'atScope() and',
    'and atScope()',
    "principalId eq 'x'",
    `principalId ne '${id}'`,
    `principalId eq '${id}' and principalId eq '${id}'`,
    `assignedTo('${id}'`,
    `assignedTo('${id}') or true`,
    `${' '.repeat(500)}x${' '.repeat(5000)}`,
  ])('%j is refused', (filter) => {
    expect(refusalOf(() => parseAssignmentFilter(filter))).toBe(true);
  });
});

describe('of definitions', () => {
  it.each<[string, object]>([
    ["roleName eq 'Key Vault Reader'", { roleName: 'Key Vault Reader' }],
    ["roleName eq 'this and that'", { roleName: 'this and that' }],
    ["roleName eq 'it''s and '' and'", { roleName: "it's and ' and" }],
    ["roleName eq ''", { roleName: '' }],
    [
      "atScopeAndBelow() and roleName eq 'a' and type eq 'customrole'",
      { andBelow: true, roleName: 'a', type: 'CustomRole' },
    ],
    ["type eq 'BuiltInRole' and atScope()", { type: 'BuiltInRole' }],
  ])('%j', (filter, parsed) => {
    expect(parseDefinitionFilter(filter)).toEqual(parsed);
  });

  it.each([
    "roleName eq 'a",
    'roleName eq a',
    "roleName eq 'a'b'",
    "type eq 'x'",
    "roleName eq 'a' or type eq 'b'",
  ])('%j is refused', (filter) => {
    expect(refusalOf(() => parseDefinitionFilter(filter))).toBe(true);
  });
});
