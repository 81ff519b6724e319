/** Answers to ACME challenges, which are forgotten when they have expired. */
import type { ChallengeBoard } from '../acme/challenge-store.ts';
import type { Database, Procedure } from './database.ts';

export function createChallengeBoard(db: Pick<Database, 'read' | 'write'>): ChallengeBoard {
  return {
    put: (answer) => db.write(putChallenge, answer),
    remove: (token) => db.write(removeChallenge, token),
    async find(token, now) {
      const row = await db.read
        .selectFrom('acme_challenges')
        .select('key_authorization')
        .where('token', '=', token)
        .where('expires', '>', now)
        .executeTakeFirst();
      return row?.key_authorization;
    },
  };
}

type Answer = Parameters<ChallengeBoard['put']>[0];

/** What has expired goes with the next that is put up, so that no job has to look for it. */
export const putChallenge: Procedure<Answer, void> = {
  name: 'acmeChallenges.put',
  async run(tx, { token, keyAuthorization, expires, now }) {
    await tx.deleteFrom('acme_challenges').where('expires', '<=', now).execute();
    const answer = { key_authorization: keyAuthorization, expires };
    await tx
      .insertInto('acme_challenges')
      .values({ token, ...answer })
      .onConflict((c) => c.column('token').doUpdateSet(answer))
      .execute();
  },
};

export const removeChallenge: Procedure<string, void> = {
  name: 'acmeChallenges.remove',
  async run(tx, token) {
    await tx.deleteFrom('acme_challenges').where('token', '=', token).execute();
  },
};
