/** Whose audience a URI is: each that of one application of a tenant. They go with their application. */
import type { PrincipalRecord } from '../identity/principals.ts';
import type { Writer } from './database.ts';

/**
 * Gives the application its URIs, and lets go of those that it had and has no more; false if another one has one of them,
 * for which the transaction is to be given up. Who is second waits for the first.
 */
export async function takeUris(
  tx: Writer,
  { tenantId, objectId, detail }: PrincipalRecord,
  was?: PrincipalRecord,
): Promise<boolean> {
  const before = was?.detail.identifierUris ?? [];
  const now = detail.identifierUris ?? [];
  const gone = before.filter((uri) => !now.includes(uri));
  if (gone.length > 0)
    await tx
      .deleteFrom('identifier_uris')
      .where('tenant_id', '=', tenantId)
      .where('uri', 'in', gone)
      .where('object_id', '=', objectId)
      .execute();
  // In one order, so that of two who want the same ones none waits for the other.
  const added = new Set(now.filter((uri) => !before.includes(uri)).toSorted());
  for (const uri of added) {
    const { numInsertedOrUpdatedRows } = await tx
      .insertInto('identifier_uris')
      .values({ tenant_id: tenantId, uri, object_id: objectId })
      .onConflict((conflict) => conflict.doNothing())
      .executeTakeFirst();
    if (numInsertedOrUpdatedRows !== 1n) return false;
  }
  return true;
}
