/** Proves that signing in costs the database the same whether the name exists or not, at every stage of guessing. */
import { describe, expect, it } from 'vitest';
import { manualClock, memoryPrincipalStore } from '../../test/support/identity.ts';
import { memoryFailures } from '../../test/support/login-grants.ts';
import { SecretBytes } from '../core/secret-bytes.ts';
import { createKeyedDigest } from '../crypto/digests.ts';
import { systemRandom } from '../crypto/random.ts';
import type { SecretHasher } from './client-secrets.ts';
import { createPasswordVerifier } from './sign-in.ts';
import { createUser, setPassword } from './users.ts';

const tenantId = '11111111-1111-4111-8111-111111111111';
const right = SecretBytes.fromText('correct horse battery');
const wrong = SecretBytes.fromText('a wrong guess');

/** The object with its methods' names noted as they are called. */
function noted<T extends object>(calls: string[], of: T): T {
  return new Proxy(of, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name);
      if (typeof value !== 'function') return value;
      return (...given: unknown[]) => {
        calls.push(String(name));
        return Reflect.apply(value, target, given);
      };
    },
  });
}

async function setup() {
  const calls: string[] = [];
  const clock = manualClock();
  const hasher: SecretHasher = {
    hash: async (secret) => `hash of ${secret.exposeText()}`,
    verify: async (secret, encoded) => encoded === `hash of ${secret.exposeText()}`,
    decoy: 'decoy',
  };
  const store = memoryPrincipalStore();
  const deps = { store, clock, random: systemRandom, hasher };
  const user = await createUser(deps, {
    ...{ tenantId, userName: 'ada@example.com', displayName: 'Ada', password: right },
  });
  const failures = memoryFailures();
  const key = new SecretBytes(systemRandom.bytes(32));
  const node = () =>
    createPasswordVerifier({
      store: noted(calls, store),
      failures: noted(calls, failures),
      hasher: noted(calls, hasher),
      clock,
      digest: async () => createKeyedDigest(key),
    });
  const nodes = [node(), node()] as const;
  const [verify] = nodes;
  const signIn = async (userName: string, password: SecretBytes) => {
    calls.length = 0;
    const outcome = await verify({ userName, password, tenantIds: [tenantId] }).catch(
      (error: Error) => error.message,
    );
    return { outcome, calls: [...calls] };
  };
  return { clock, deps, user, signIn, nodes };
}

describe('signing in', () => {
  it('asks the database and the hash the same for a name that exists and one that does not', async () => {
    const { signIn, clock } = await setup();
    for (let attempt = 0; attempt < 14; attempt += 1) {
      const known = await signIn('ada@example.com', wrong);
      expect(await signIn('nobody@example.com', wrong), `attempt ${attempt}`).toEqual(known);
      expect(known.calls).toContain('of');
      expect(known.calls.includes('verify')).toBe(attempt < 10 || attempt === 12);
      if (attempt === 11) clock.advance(60_000);
    }
  });

  it('locks a name after as many guesses on all nodes together, whether anybody has it or not', async () => {
    const { nodes } = await setup();
    for (const userName of ['ada@example.com', 'nobody@example.com', 'NOBODY@example.com']) {
      const outcomes: string[] = [];
      for (let attempt = 0; attempt < 12; attempt += 1) {
        const verify = nodes[attempt % 2 === 0 ? 0 : 1];
        const given = { userName, password: wrong, tenantIds: [tenantId] };
        const outcome = await verify(given).catch((error: Error) => error.message.slice(0, 11));
        outcomes.push(String(outcome));
      }
      const isCounted = userName === userName.toLowerCase();
      const wrongOnes = isCounted ? 10 : 0;
      const locked = Array.from({ length: 12 - wrongOnes }, () => 'AADSTS50053');
      expect(outcomes, userName).toEqual([
        ...Array.from({ length: wrongOnes }, () => 'AADSTS50126'),
        ...locked,
      ]);
    }
  });

  it('says by which password, so that what comes of it can end with that', async () => {
    const { signIn, deps, user } = await setup();
    const before = (await signIn('ada@example.com', right)).outcome;
    expect(before).toMatchObject({ user, passwordId: expect.any(String) });
    await setPassword(deps, { objectId: user.objectId, password: right });
    const after = (await signIn('ada@example.com', right)).outcome;
    expect(after).toMatchObject({ user });
    expect(after).not.toEqual(before);
  });
});
