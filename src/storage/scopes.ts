/** Scopes as keys: lower-cased ARM ids, of which one is below another by whole segments. */
import { type RawBuilder, type SqlBool, sql } from 'kysely';

/** Whether `key` is `above` or below it: `…/kv10` is not below `…/kv1`. */
export function isAtOrBelow(key: string, above: string): boolean {
  return key === above || key.startsWith(`${above}/`);
}

/** The same as a condition on the column `scope_key`, which its index answers: `0` comes right after `/`. */
export function atOrBelow(above: string): RawBuilder<SqlBool> {
  return sql<SqlBool>`(scope_key = ${above} or (scope_key > ${`${above}/`} and scope_key < ${`${above}0`}))`;
}
