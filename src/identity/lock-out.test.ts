import { describe, expect, it } from 'vitest';
import { failureStoreContract } from '../../test/contracts/login-grant-store.ts';
import { manualClock } from '../../test/support/identity.ts';
import { memoryFailures } from '../../test/support/login-grants.ts';
import { afterAttempt, chargeAttempt, type SignInFailures } from './lock-out.ts';

const minute = 60_000;

failureStoreContract(async () => memoryFailures());

describe('the count after an attempt', () => {
  const counted = (attempts: number, apart = 0) => {
    let failures: SignInFailures | undefined;
    for (let attempt = 0; attempt < attempts; attempt += 1)
      failures = afterAttempt('a', failures, 1_000_000 + attempt * apart);
    return failures;
  };

  it('locks at the tenth for a minute, then twice as long each time, for an hour at the most', () => {
    const end = (attempts: number) => (counted(attempts)?.lockedUntil ?? 0) - 1_000_000;
    expect(counted(9)?.lockedUntil).toBe(0);
    expect([10, 11, 12, 15, 16, 17, 1000].map((attempts) => end(attempts) / minute)).toEqual([
      1, 2, 4, 32, 60, 60, 60,
    ]);
  });

  it('begins anew a day after the last one', () => {
    const was = counted(12);
    const day = 24 * 60 * minute;
    expect(afterAttempt('a', was, 1_000_000 + day)).toMatchObject({ failures: 1, lockedUntil: 0 });
    expect(afterAttempt('a', was, 1_000_000 + day - 1)).toMatchObject({ failures: 13 });
  });
});

describe('an attempt', () => {
  it('is refused while the name is locked, and does not count then', async () => {
    const clock = manualClock();
    const store = memoryFailures();
    for (let attempt = 0; attempt < 10; attempt += 1) await chargeAttempt({ store, clock }, 'a');
    for (let attempt = 0; attempt < 3; attempt += 1)
      await expect(chargeAttempt({ store, clock }, 'a')).rejects.toMatchObject({ kind: 'invalidGrant' });
    expect(await store.of('a')).toMatchObject({ failures: 10 });
    await chargeAttempt({ store, clock }, 'b');
    clock.advance(minute);
    await chargeAttempt({ store, clock }, 'a');
    await store.clear('a');
    await chargeAttempt({ store, clock }, 'a');
    expect(await store.of('a')).toMatchObject({ failures: 1, lockedUntil: 0 });
  });

  it('that cannot be counted is not let pass', async () => {
    const store = { ...memoryFailures(), replace: async () => false };
    const attempt = chargeAttempt({ store, clock: manualClock() }, 'a');
    await expect(attempt).rejects.toMatchObject({ kind: 'throttled' });
  });
});
