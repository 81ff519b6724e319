import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { answersChallenge, parseChallenge } from './authorization-codes.ts';

/** RFC 7636 appendix B. */
const verifier = 'dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk';
const challenge = 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM';

describe('PKCE', () => {
  it('agrees with the example of its RFC', () => {
    expect(answersChallenge({ method: 'S256', value: challenge }, verifier)).toBe(true);
    expect(answersChallenge({ method: 'S256', value: challenge }, challenge)).toBe(false);
    expect(answersChallenge({ method: 'plain', value: verifier }, verifier)).toBe(true);
    expect(answersChallenge({ method: 'plain', value: challenge }, verifier)).toBe(false);
  });

  it('is asked for if it was begun, and cannot be brought in later', () => {
    expect(answersChallenge(undefined, undefined)).toBe(true);
    expect(answersChallenge({ method: 'S256', value: challenge }, undefined)).toBe(false);
    expect(answersChallenge(undefined, verifier)).toBe(false);
  });

  it('takes no verifier that the RFC does not allow', () => {
    for (const short of ['', 'a', verifier.slice(1), 'a'.repeat(129), `${verifier.slice(1)}!`])
      expect(answersChallenge({ method: 'plain', value: short }, short), short).toBe(false);
  });

  it('refuses whatever is not the verifier', () => {
    const others = fc.stringMatching(/^[A-Za-z0-9._~-]{43,60}$/).filter((text) => text !== verifier);
    fc.assert(
      fc.property(others, (text) => !answersChallenge({ method: 'S256', value: challenge }, text)),
      { seed: 7636 },
    );
  });

  it('takes challenges of its two methods, plain where none is named', () => {
    expect(parseChallenge(null, null)).toBeUndefined();
    expect(parseChallenge(challenge, 'S256')).toEqual({ method: 'S256', value: challenge });
    expect(parseChallenge(verifier, null)).toEqual({ method: 'plain', value: verifier });
    for (const [value, method] of [
      [null, 'S256'],
      [`${challenge}=`, 'S256'],
      [challenge.slice(1), 'S256'],
      [challenge, 's256'],
      [challenge, ''],
      ['short', 'plain'],
    ] as const)
      expect(() => parseChallenge(value, method)).toThrow(/501491/);
  });
});
