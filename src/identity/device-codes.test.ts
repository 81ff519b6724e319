import { describe, expect, it } from 'vitest';
import { manualClock } from '../../test/support/identity.ts';
import { memoryLoginGrants } from '../../test/support/login-grants.ts';
import { systemRandom } from '../crypto/random.ts';
import { createDeviceCodes } from './device-codes.ts';

const subject = { clientId: 'client', tenantId: undefined, scope: 'a' };
const user = { objectId: 'user', passwordId: 'password' };

function setup() {
  const store = memoryLoginGrants();
  const clock = manualClock();
  return { store, clock, devices: createDeviceCodes({ store, clock, random: systemRandom }) };
}

describe('device codes', () => {
  it('have user codes of every letter alike, and a code is found however it is typed', async () => {
    const { devices } = setup();
    const counts = new Map<string, number>();
    for (let round = 0; round < 400; round += 1) {
      const { userCode } = await devices.begin(subject);
      for (const letter of userCode) counts.set(letter, (counts.get(letter) ?? 0) + 1);
    }
    // 3,600 letters of 20: 180 each, with a standard deviation of 13.
    for (const [letter, count] of counts) expect(Math.abs(count - 180), letter).toBeLessThan(100);
    expect([...counts.keys()].sort().join('')).toBe('BCDFGHJKLMNPQRSTVWXZ');
    const { userCode } = await devices.begin(subject);
    for (const typed of [userCode, userCode.toLowerCase(), ` ${userCode.slice(0, 4)}-${userCode.slice(4)} `])
      expect(await devices.find(typed)).toMatchObject(subject);
    expect(await devices.find(userCode.slice(1))).toBeUndefined();
  });

  it('are decided once, also while the client polls', async () => {
    const { devices, clock } = setup();
    const { deviceCode, userCode } = await devices.begin(subject);
    const pending = await devices.find(userCode);
    if (pending === undefined) throw new Error('not found');
    await expect(devices.poll(deviceCode, 'client')).rejects.toMatchObject({ kind: 'authorizationPending' });
    expect(await devices.decide(pending, user)).toBe(true);
    expect(await devices.decide(pending, undefined)).toBe(false);
    expect(await devices.find(userCode)).toBeUndefined();
    clock.advance(5_000);
    expect(await devices.poll(deviceCode, 'client')).toMatchObject(user);
  });

  it('that are polled too often slow the client down, without making it wait from anew', async () => {
    const { devices, clock } = setup();
    const { deviceCode } = await devices.begin(subject);
    const poll = () => devices.poll(deviceCode, 'client').catch((error: { kind: string }) => error.kind);
    expect(await poll()).toBe('authorizationPending');
    clock.advance(3_000);
    expect(await poll()).toBe('slowDown');
    clock.advance(1_000);
    expect(await poll()).toBe('authorizationPending');
  });
});
