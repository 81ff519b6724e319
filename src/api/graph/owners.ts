/** Owners of groups, applications and service principals: kept and shown for the clients that set them, without rights. */
import { Failure } from '../../core/errors.ts';
import { changePrincipal, type PrincipalRecord } from '../../identity/principals.ts';
import { findMe, isApplication, isObject, resourceNotFound } from './find.ts';
import { listRecords, type Wire } from './lists.ts';
import { objectWire } from './objects.ts';
import { type GraphCall, type GraphRoute, graphRoute } from './route.ts';
import { applicationWire, reference, referencedId } from './wire.ts';

const mostOwners = 100;

export function ownerRoutes(
  collection: string,
  find: (call: GraphCall<unknown>) => Promise<PrincipalRecord>,
): readonly GraphRoute[] {
  return [
    graphRoute({
      audit: 'GraphOwnersList',
      method: 'GET',
      path: `/${collection}/:id/owners`,
      changes: false,
      async handle(call) {
        const owners: PrincipalRecord[] = [];
        for (const id of (await find(call)).detail.owners ?? []) {
          const owner = await call.deps.store.byObjectId(id);
          // One that was deleted since is an owner no longer.
          if (owner !== undefined && isObject(owner)) owners.push(owner);
        }
        const ordered = owners.sort((a, b) => (a.objectId < b.objectId ? -1 : 1));
        return listRecords(call, ordered, objectWire);
      },
    }),
    graphRoute({
      audit: 'GraphOwnerAdd',
      method: 'POST',
      path: `/${collection}/:id/owners/$ref`,
      changes: true,
      schema: reference,
      async handle(call) {
        const { objectId } = await find(call);
        const id = referencedId(call.body['@odata.id']);
        const owner = await call.deps.store.byObjectId(id);
        if (owner === undefined || owner.tenantId !== call.tenant.id) throw resourceNotFound(id);
        await changePrincipal(call.deps.store, objectId, (was) => withOwner(was, id));
        return { status: 204, id: objectId };
      },
    }),
    graphRoute({
      audit: 'GraphOwnerRemove',
      method: 'DELETE',
      path: `/${collection}/:id/owners/:owner/$ref`,
      changes: true,
      async handle(call) {
        const { objectId } = await find(call);
        const id = (call.params.owner ?? '').toLowerCase();
        await changePrincipal(call.deps.store, objectId, (was) => withoutOwner(was, id));
        return { status: 204, id: objectId };
      },
    }),
  ];
}

/** What the caller was made an owner of: the `--show-mine` of az. */
export const ownedRoutes: readonly GraphRoute[] = [
  graphRoute({
    audit: 'GraphOwnedObjectsList',
    method: 'GET',
    path: '/me/ownedObjects',
    changes: false,
    async handle(call) {
      const { objectId } = await findMe(call);
      return listRecords(call, await ownedBy(call, objectId), ownedWire);
    },
  }),
];

const scanPage = 500;

async function ownedBy(
  { deps, tenant }: GraphCall<unknown>,
  id: string,
): Promise<readonly PrincipalRecord[]> {
  const owned: PrincipalRecord[] = [];
  let after: string | undefined;
  do {
    const of = { tenantId: tenant.id, kind: ['application', 'group', 'managedIdentity'] as const };
    const page = await deps.store.list(of, { limit: scanPage, after });
    owned.push(...page.items.filter(({ detail }) => detail.owners?.includes(id) === true));
    after = page.next;
  } while (after !== undefined);
  return owned;
}

/** An application and its service principal have the same owners. */
function ownedWire(record: PrincipalRecord): readonly Wire[] {
  const application = isApplication(record)
    ? [{ '@odata.type': '#microsoft.graph.application', ...applicationWire(record, []) }]
    : [];
  return isObject(record) ? [...application, objectWire(record)] : application;
}

function withOwner(was: PrincipalRecord, id: string): PrincipalRecord {
  const owners = was.detail.owners ?? [];
  if (owners.includes(id)) {
    throw new Failure(
      'badParameter',
      "One or more added object references already exist for the following modified properties: 'owners'.",
    );
  }
  if (owners.length >= mostOwners)
    throw new Failure('badParameter', `An object has at most ${mostOwners} owners.`);
  return { ...was, detail: { ...was.detail, owners: [...owners, id] } };
}

function withoutOwner(was: PrincipalRecord, id: string): PrincipalRecord {
  const owners = was.detail.owners ?? [];
  if (!owners.includes(id)) throw resourceNotFound(id);
  return { ...was, detail: { ...was.detail, owners: owners.filter((owner) => owner !== id) } };
}
