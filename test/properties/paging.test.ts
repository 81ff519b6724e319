/**
 * Proves that lists stay whole while others write: whatever is in a list from its first page to its last appears
 * exactly once and in order, whatever the page size and whatever is added, deleted, recovered or purged meanwhile.
 */
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { secretActions as actions } from '../../src/authorization/actions.ts';
import type { Page, PageRequest } from '../../src/core/paging.ts';
import { SecretBytes } from '../../src/core/secret-bytes.ts';
import type { Vault } from '../../src/domain/vaults/vault.ts';
import { openTestDomain, secretGrant, type TestDomain } from '../support/domain.ts';

type State = 'absent' | 'live' | 'deleted';
type Operation = 'set' | 'delete' | 'recover' | 'purge';

/** Where an operation leads from each state; what is left out is refused. */
const leadsTo: Readonly<Record<Operation, Partial<Record<State, State>>>> = {
  set: { absent: 'live', live: 'live' },
  delete: { live: 'deleted' },
  recover: { deleted: 'live' },
  purge: { deleted: 'absent' },
};

/** Names whose order shows: letters of both cases, digits and hyphens in the same places. */
const pool = Array.from(
  { length: 48 },
  (_, index) => `${'bXaYcZ'[index % 6]}${'-'.repeat(index % 3)}${index}`,
);
const noAttributes = {
  enabled: undefined,
  notBefore: undefined,
  expires: undefined,
  contentType: undefined,
  tags: undefined,
};
/** Fixed, so that a failure is the same everywhere; another number tries other sequences. */
const seed = 72;

let domain: TestDomain;
let vaults = 0;
beforeAll(async () => {
  domain = await openTestDomain();
});
afterAll(() => domain.close());

async function newVault(): Promise<Vault> {
  vaults += 1;
  return domain.vault(`paging-${vaults}`);
}

function perform(vault: Vault, operation: Operation, name: string): Promise<unknown> {
  const { secrets } = domain.core;
  const grant = secretGrant(vault, actions[operation], name);
  return operation === 'set'
    ? secrets.set(grant, { value: SecretBytes.fromText('v'), ...noAttributes })
    : secrets[operation](grant);
}

const index = fc.nat(pool.length - 1);
const operation = fc.constantFrom<Operation>('set', 'delete', 'recover', 'purge');
/** What happens during one page; at most one thing per name, so that the outcome is known. */
const round = fc.uniqueArray(fc.record({ operation, index }), {
  maxLength: 6,
  selector: (step) => step.index,
});

const listing = fc.record({
  initial: fc.array(fc.constantFrom<State>('absent', 'live', 'live', 'deleted'), {
    minLength: pool.length,
    maxLength: pool.length,
  }),
  rounds: fc.array(round, { minLength: 1, maxLength: 12 }),
  limit: fc.integer({ min: 1, max: 25 }),
});

async function populate(vault: Vault, initial: readonly State[]): Promise<Map<string, State>> {
  const states = new Map(pool.map((name, position) => [name, initial[position] ?? 'absent']));
  await Promise.all(
    [...states].map(async ([name, state]) => {
      if (state === 'absent') return;
      await perform(vault, 'set', name);
      if (state === 'deleted') await perform(vault, 'delete', name);
    }),
  );
  return states;
}

/** Reads the pages while the rounds run beside them. */
async function listWhile(
  read: (page: PageRequest) => Promise<Page<string>>,
  limit: number,
  during: (page: number) => Promise<void>,
): Promise<string[]> {
  const seen: string[] = [];
  let after: string | undefined;
  for (let number = 0; ; number += 1) {
    const [page] = await Promise.all([read({ limit, after }), during(number)]);
    expect(page.items.length).toBeLessThanOrEqual(limit);
    if (page.next !== undefined) expect(page.items).toHaveLength(limit);
    seen.push(...page.items);
    if (page.next === undefined) return seen;
    after = page.next;
  }
}

test.each(['live', 'deleted'] as const)('the list of %s secrets', async (state) => {
  await fc.assert(
    fc.asyncProperty(listing, async ({ initial, rounds, limit }) => {
      const vault = await newVault();
      const states = await populate(vault, initial);
      const namesIn = () => [...states].filter(([, now]) => now === state).map(([name]) => name);
      const always = new Set(namesIn());
      const ever = new Set(always);
      const grant = secretGrant(vault, actions.list);
      const read = async (ask: PageRequest) => {
        const { secrets } = domain.core;
        const page = await (state === 'live' ? secrets.list(grant, ask) : secrets.listDeleted(grant, ask));
        return { ...page, items: page.items.map((item) => item.name) };
      };
      const seen = await listWhile(read, limit, async (number) => {
        await Promise.all(
          (rounds[number] ?? []).map(async (step) => {
            const name = pool[step.index] ?? '';
            const next = leadsTo[step.operation][states.get(name) ?? 'absent'];
            if (next === undefined) return;
            if (next !== state) always.delete(name);
            else ever.add(name);
            states.set(name, next);
            await perform(vault, step.operation, name);
          }),
        );
      });
      const keys = seen.map((name) => name.toUpperCase());
      expect(keys).toEqual([...new Set(keys)].sort());
      expect(seen.filter((name) => always.has(name)).sort()).toEqual([...always].sort());
      expect(seen.filter((name) => !ever.has(name))).toEqual([]);
    }),
    { numRuns: 25, seed },
  );
});

test("the list of a secret's versions", async () => {
  const versions = fc.record({
    count: fc.integer({ min: 1, max: 40 }),
    added: fc.array(fc.nat(3), { minLength: 1, maxLength: 12 }),
    limit: fc.integer({ min: 1, max: 25 }),
  });
  await fc.assert(
    fc.asyncProperty(versions, async ({ count, added, limit }) => {
      const vault = await newVault();
      const add = async (times: number) => {
        const work = Array.from({ length: times }, () => perform(vault, 'set', 'much-changed'));
        return (await Promise.all(work)) as { version: { version: string } }[];
      };
      const always = (await add(count)).map(({ version }) => version.version);
      const grant = secretGrant(vault, actions.list, 'MUCH-changed');
      const read = async (ask: PageRequest) => {
        const page = await domain.core.secrets.listVersions(grant, ask);
        return { ...page, items: page.items.map((item) => item.version.version) };
      };
      const seen = await listWhile(read, limit, async (number) => void (await add(added[number] ?? 0)));
      expect(seen).toEqual([...new Set(seen)].sort());
      expect(seen.filter((version) => always.includes(version))).toEqual([...always].sort());
    }),
    { numRuns: 25, seed },
  );
});

test('a list that ends at the end of a page says so at once', async () => {
  const vault = await newVault();
  for (const name of pool.slice(0, 10)) await perform(vault, 'set', name);
  const grant = secretGrant(vault, actions.list);
  const first = await domain.core.secrets.list(grant, { limit: 5, after: undefined });
  const second = await domain.core.secrets.list(grant, { limit: 5, after: first.next });
  expect(first.next).toBeDefined();
  expect(second.items).toHaveLength(5);
  expect(second.next).toBeUndefined();
});
