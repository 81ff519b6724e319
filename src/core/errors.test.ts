/** Proves that a failure keeps what may be shown apart from what may not. */
import { describe, expect, it } from 'vitest';
import { Failure, isFailure } from './errors.ts';

describe('failures', () => {
  it('keep what is for the log apart from what may be shown', () => {
    const failure = new Failure('unavailable', 'not now', { cause: new Error('inside'), retryAfter: 3 });
    expect(failure.message).toBe('not now');
    expect(failure.retryAfter).toBe(3);
    expect(isFailure(failure)).toBe(true);
    expect(isFailure(failure, 'internal')).toBe(false);
    expect(isFailure(new Error('not now'))).toBe(false);
  });
});
