/** Proves the units of times and the behaviour of timers. */
import { describe, expect, it, vi } from 'vitest';
import { isoSevenDecimals, systemClock, unixSeconds } from './clock.ts';

describe('times', () => {
  it('are whole seconds, rounded down, and seven decimals in logs', () => {
    expect(unixSeconds(1999)).toBe(1);
    expect(isoSevenDecimals(Date.UTC(2026, 0, 2, 3, 4, 5, 6))).toBe('2026-01-02T03:04:05.0060000Z');
  });

  it('a timer runs once after its delay, not when cancelled, and a long one not at once', () => {
    vi.useFakeTimers();
    try {
      const ran: string[] = [];
      systemClock.after(10, () => ran.push('short'));
      systemClock.after(-5, () => ran.push('negative'));
      systemClock.after(10, () => ran.push('cancelled')).cancel();
      systemClock.after(2 ** 31 + 5, () => ran.push('long'));
      vi.advanceTimersByTime(9);
      expect(ran).toEqual(['negative']);
      vi.advanceTimersByTime(100_000);
      expect(ran).toEqual(['negative', 'short']);
    } finally {
      vi.useRealTimers();
    }
  });
});
