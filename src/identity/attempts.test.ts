import { describe, expect, it } from 'vitest';
import { manualClock } from '../../test/support/identity.ts';
import { createAttemptLimit } from './attempts.ts';

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

  it('can be taken back, in the window that they were counted in', () => {
    const clock = manualClock();
    const attempt = createAttemptLimit(clock, { most: 1, window: 10_000 });
    const takeBack = attempt('a');
    expect(() => attempt('a')).toThrow();
    takeBack();
    const late = attempt('a');
    clock.advance(10_000);
    attempt('a');
    late();
    expect(() => attempt('a')).toThrow();
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
