/** Proves what each way of changing access policies makes of them, whatever their words look like. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { guid } from '../../../test/contracts/rows.ts';
import {
  type AccessPolicy,
  evaluatePolicies,
  secretPermissions,
} from '../../authorization/access-policies.ts';
import { secretActions } from '../../authorization/actions.ts';
import { changePolicies, foldPolicies } from './access-policy-rules.ts';

const tenantId = guid(900);
const of = (objectId: string, permissions: AccessPolicy['permissions']): AccessPolicy => ({
  ...{ tenantId, objectId },
  permissions,
});
const mine = (...secrets: string[]) => of(guid(1), { secrets });
const theirs = of(guid(2), { keys: ['get'] });

describe('adding', () => {
  it('gives more, says nothing twice, and keeps the order and the words of who came first', () => {
    expect(changePolicies([theirs, mine('Get')], 'add', [mine('get', 'LIST')])).toEqual([
      theirs,
      mine('Get', 'LIST'),
    ]);
    expect(changePolicies([theirs], 'add', [mine('get')])).toEqual([theirs, mine('get')]);
    expect(changePolicies([mine('get')], 'add', [of(guid(1), { keys: ['sign'] })])).toEqual([
      of(guid(1), { keys: ['sign'], secrets: ['get'] }),
    ]);
  });

  it('knows a principal in any case, and an application that acts for it as another', () => {
    const upper = { ...mine('list'), objectId: guid(1).toUpperCase() };
    expect(changePolicies([mine('get')], 'add', [upper])).toEqual([mine('get', 'list')]);
    const through = { ...mine('list'), applicationId: guid(5) };
    expect(changePolicies([mine('get')], 'add', [through])).toEqual([mine('get'), through]);
  });
});

describe('removing', () => {
  it('takes what is named, and the whole entry with the last of it or where nothing is named', () => {
    const was = [theirs, mine('Get', 'list', 'purge')];
    expect(changePolicies(was, 'remove', [mine('get')])).toEqual([theirs, mine('list', 'purge')]);
    expect(changePolicies(was, 'remove', [mine('get', 'LIST', 'purge')])).toEqual([theirs]);
    expect(changePolicies(was, 'remove', [mine()])).toEqual([theirs]);
    expect(changePolicies(was, 'remove', [of(guid(3), { secrets: ['get'] })])).toEqual(was);
  });

  it('leaves of all what it stood for, and purge, which it did not', () => {
    const [left] = changePolicies([mine('ALL', 'purge')], 'remove', [mine('get')]);
    expect(left?.permissions.secrets?.toSorted()).toEqual(
      secretPermissions.filter((name) => name !== 'all' && name !== 'get').toSorted(),
    );
    expect(changePolicies([mine('all', 'purge')], 'remove', [mine('All')])).toEqual([mine('purge')]);
    expect(changePolicies([mine('all', 'purge')], 'remove', [mine('purge')])).toEqual([mine('all')]);
    expect(changePolicies([mine('get', 'purge')], 'remove', [mine('all')])).toEqual([mine('purge')]);
  });
});

describe('whatever is there', () => {
  const word = fc
    .constantFrom(...secretPermissions)
    .chain((name) => fc.constantFrom(name, name.toUpperCase(), `${name[0]?.toUpperCase()}${name.slice(1)}`));
  const words = fc.array(word, { maxLength: 9 });
  const principal = { tenantId, appId: undefined };
  const allowed = (policies: readonly AccessPolicy[]) =>
    Object.entries(secretActions)
      .filter(([, action]) => evaluatePolicies(foldPolicies(policies), principal, action) === 'allowed')
      .map(([name]) => name);

  it('what was added is allowed, what was removed is not, and nothing else changes', () => {
    fc.assert(
      fc.property(words, words, (was, given) => {
        const added = allowed(changePolicies([mine(...was)], 'add', [mine(...given)]));
        const either = new Set([...allowed([mine(...was)]), ...allowed([mine(...given)])]);
        expect(new Set(added)).toEqual(either);
        const removed = allowed(changePolicies([mine(...was)], 'remove', [mine(...given)]));
        const gone = given.length === 0 ? allowed([mine(...was)]) : allowed([mine(...given)]);
        expect(removed).toEqual(allowed([mine(...was)]).filter((name) => !gone.includes(name)));
      }),
    );
  });
});
