import { describe, expect, it } from 'vitest';
import { manualClock } from '../../test/support/identity.ts';
import { memoryFailures } from '../../test/support/login-grants.ts';
import { createAttemptLimit, createFailureLimit } from './attempts.ts';

describe('attempts from one address', () => {
  it('are so many in a window, and say when there are more', () => {
    const clock = manualClock();
    const attempt = createAttemptLimit(clock, { most: 2, window: 10_000 });
    attempt('192.0.2.1');
    clock.advance(4_000);
    attempt('192.0.2.1');
    expect(() => attempt('192.0.2.1')).toThrow(expect.objectContaining({ kind: 'throttled', retryAfter: 6 }));
    attempt('192.0.2.2');
    clock.advance(6_000);
    attempt('192.0.2.1');
  });

  it('do not become more by the addresses of one IPv6 network', () => {
    const attempt = createAttemptLimit(manualClock(), { most: 1, window: 10_000 });
    attempt('2001:db8:1:2::1');
    for (const address of [
      '2001:db8:1:2::2',
      '2001:0db8:1:2:3:4:5:6',
      '2001:db8:1:2:ffff::',
      '2001:db8:1:2::1%eth0',
    ])
      expect(() => attempt(address), address).toThrow();
    for (const address of ['2001:db8:1:3::1', '::1', '2001:db8::1:2:3:4', 'fe80::1']) attempt(address);
  });

  it('go by a clock that nobody sets', () => {
    const clock = manualClock();
    const attempt = createAttemptLimit(clock, { most: 1, window: 10_000 });
    attempt('a');
    clock.jump(1_000_000);
    expect(() => attempt('a')).toThrow();
  });
});

describe('failures from one address', () => {
  it('are so many in a window on all nodes together, and cost nothing where there are none', async () => {
    const clock = manualClock();
    const store = memoryFailures();
    const [one, other] = [0, 1].map(() => createFailureLimit({ store, clock }, { most: 2, window: 10_000 }));
    if (one === undefined || other === undefined) throw new TypeError('two were made');
    for (let time = 0; time < 5; time += 1) await one.assertFree('192.0.2.1');
    await one.count('192.0.2.1');
    clock.advance(4_000);
    await other.assertFree('192.0.2.1');
    await other.count('192.0.2.1');
    for (const limit of [one, other])
      await expect(limit.assertFree('192.0.2.1')).rejects.toMatchObject({ kind: 'throttled', retryAfter: 6 });
    await one.assertFree('192.0.2.2');
    clock.advance(6_000);
    await one.assertFree('192.0.2.1');
  });

  it('do not become more by the addresses of one IPv6 network', async () => {
    const limit = createFailureLimit(
      { store: memoryFailures(), clock: manualClock() },
      { most: 1, window: 10_000 },
    );
    await limit.count('2001:db8:1:2::1');
    await expect(limit.assertFree('2001:db8:1:2:ffff::')).rejects.toMatchObject({ kind: 'throttled' });
    await limit.assertFree('2001:db8:1:3::1');
  });
});
