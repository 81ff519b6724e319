import { describe, expect, it } from 'vitest';
import { loginGrantStoreContract } from '../../test/contracts/login-grant-store.ts';
import { manualClock } from '../../test/support/identity.ts';
import { memoryLoginGrants } from '../../test/support/login-grants.ts';
import { systemRandom } from '../crypto/random.ts';
import type { LoginGrantStore } from './login-grants.ts';
import { createSessions, sessionLifetime } from './sessions.ts';

loginGrantStoreContract(async () => memoryLoginGrants());

const subject = {
  ...{ objectId: 'user', tenantId: 'tenant', clientId: 'client' },
  ...{ scope: 'a b', isProven: true, passwordId: 'password' },
};

function setup(store: LoginGrantStore = memoryLoginGrants()) {
  const clock = manualClock();
  const sessions = createSessions({ store, clock, random: systemRandom });
  const begin = async () => (await sessions.begin(subject)) ?? '';
  const renew = async (token: string) => sessions.rotate(await sessions.find(token, 'client'));
  return { store, clock, sessions, begin, renew };
}

describe('sessions', () => {
  it('remember who signed in, for which client and how, over all refresh tokens', async () => {
    const { clock, sessions, begin, renew } = setup();
    let token = await begin();
    for (let step = 0; step < 3; step += 1) {
      clock.advance(60_000);
      token = await renew(token);
    }
    expect(await sessions.find(token, 'client')).toMatchObject(subject);
  });

  it('last ninety days from the last use', async () => {
    const { clock, sessions, begin, renew, store } = setup();
    const idle = await begin();
    let used = await begin();
    for (let step = 0; step < 4; step += 1) {
      clock.advance(sessionLifetime - 1);
      used = await renew(used);
      // What keeps the session must not be cleared away before it.
      await store.prune(clock.now());
    }
    await expect(sessions.find(idle, 'client')).rejects.toMatchObject({ kind: 'invalidGrant' });
    clock.advance(sessionLifetime);
    await expect(sessions.find(used, 'client')).rejects.toThrow(/700082/);
  });

  it('end when a used token comes again after its grace', async () => {
    const { clock, sessions, begin, renew } = setup();
    const first = await begin();
    const second = await renew(first);
    clock.advance(29_999);
    const third = await renew(first);
    clock.advance(1);
    await expect(sessions.find(first, 'client')).rejects.toThrow(/50173/);
    for (const token of [second, third])
      await expect(sessions.find(token, 'client')).rejects.toThrow(/70000/);
  });

  it('end between the look at a token and its use, and give nothing then', async () => {
    const { sessions, begin } = setup();
    const found = await sessions.find(await begin(), 'client');
    await sessions.end(found);
    await expect(sessions.rotate(found)).rejects.toThrow(/50173/);
  });

  it('go on when another use of the same token came between', async () => {
    const { sessions, begin } = setup();
    const token = await begin();
    const [one, two] = [await sessions.find(token, 'client'), await sessions.find(token, 'client')];
    const successors = [await sessions.rotate(one), await sessions.rotate(two)];
    expect(new Set(successors).size).toBe(2);
    for (const next of successors) await sessions.find(next, 'client');
  });

  it('are not begun from a grant that is used up', async () => {
    const { sessions, store, clock } = setup();
    const code = await store.addOnce({
      id: 'code',
      kind: 'code',
      family: 'the-session',
      objectId: 'user',
      detail: {},
      created: clock.now(),
      expires: clock.now() + 1000,
      used: undefined,
    });
    const token = (await sessions.begin(subject, code)) ?? '';
    expect(token).not.toBe('');
    expect(await sessions.begin(subject, code)).toBeUndefined();
    await store.revokeFamily('the-session');
    await expect(sessions.find(token, 'client')).rejects.toThrow(/70000/);
  });
});
