/** What the store of answers to ACME challenges must do; run on each database. */
import { describe, expect, it } from 'vitest';
import type { ChallengeBoard } from '../../src/acme/challenge-store.ts';

/** Defines the suite; `makeBoard` gives an empty board each time. */
export function challengeBoardContract(makeBoard: () => Promise<ChallengeBoard>): void {
  const now = 1_800_000_000_000;
  const answer = (token: string, expires = now + 1000, keyAuthorization = `${token}.thumbprint`) => ({
    token,
    keyAuthorization,
    expires,
    now,
  });

  describe('challenge board', () => {
    it('gives each token its answer, the last one that was put up, until it is taken away', async () => {
      const board = await makeBoard();
      expect(await board.find('a', now)).toBeUndefined();
      await board.put(answer('a', now + 1000, 'first'));
      await board.put(answer('A'));
      await board.put(answer('a'));
      expect(await board.find('a', now)).toBe('a.thumbprint');
      expect(await board.find('A', now)).toBe('A.thumbprint');
      await board.remove('a');
      await board.remove('a');
      expect(await board.find('a', now)).toBeUndefined();
      expect(await board.find('A', now)).toBe('A.thumbprint');
    });

    it('does not give what has expired, and forgets it with the next that is put up', async () => {
      const board = await makeBoard();
      await board.put(answer('old', now + 1));
      expect(await board.find('old', now)).toBe('old.thumbprint');
      expect(await board.find('old', now + 1)).toBeUndefined();
      await board.put({ ...answer('other', now + 9), now: now + 1 });
      // Even for who asks with an earlier time: the row is gone.
      expect(await board.find('old', now)).toBeUndefined();
      expect(await board.find('other', now + 8)).toBe('other.thumbprint');
    });

    it('takes the answers of several at once', async () => {
      const board = await makeBoard();
      const tokens = Array.from({ length: 8 }, (_, n) => `token-${n}`);
      await Promise.all(tokens.map((token) => board.put(answer(token))));
      const found = await Promise.all(tokens.map((token) => board.find(token, now)));
      expect(found).toEqual(tokens.map((token) => `${token}.thumbprint`));
    });
  });
}
