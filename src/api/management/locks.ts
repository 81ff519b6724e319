/** Management locks over the wire, on any scope in a subscription. */
import * as v from 'valibot';
import { Failure } from '../../core/errors.ts';
import type { Lock } from '../../domain/resources/lock-store.ts';
import type { Locks } from '../../domain/resources/locks.ts';
import { objectSchema } from '../vault/wire.ts';
import { type ManagementCall, type ManagementRoute, managementRoute } from './route.ts';
import { listReply, wordSchema } from './wire.ts';

const lockSchema = objectSchema({
  properties: objectSchema({
    level: wordSchema(['CanNotDelete', 'ReadOnly'], "It must be 'CanNotDelete' or 'ReadOnly'."),
    notes: v.nullish(v.string()),
    owners: v.nullish(
      v.pipe(v.array(objectSchema({ applicationId: v.nullish(v.string()) })), v.maxLength(20)),
    ),
  }),
});

const path = '{scope}/providers/Microsoft.Authorization/locks';
const provider = 'Microsoft.Authorization';

/** Locks do not stand in the way of locks: who may write them may take them away. */
export function lockRoutes(locks: Locks): readonly ManagementRoute[] {
  const row = { path: `${path}/:lockName`, provider, passesLocks: true as const };
  return [
    listRow(locks),
    managementRoute({
      ...row,
      operation: 'ManagementLocks_GetByScope',
      audit: 'LockGet',
      method: 'GET',
      action: 'Microsoft.Authorization/locks/read',
      async handle(call) {
        const { scope, name } = placeOf(call);
        const lock = await locks.get(scope, name);
        if (lock === undefined)
          throw new Failure('lockNotFound', `The lock '${name.slice(0, 128)}' could not be found.`);
        return reply(200, lock);
      },
    }),
    managementRoute({
      ...row,
      operation: 'ManagementLocks_CreateOrUpdateByScope',
      audit: 'LockCreateOrUpdate',
      method: 'PUT',
      action: 'Microsoft.Authorization/locks/write',
      schema: lockSchema,
      async handle(call) {
        const { level, notes, owners } = call.body.properties;
        const lock = {
          ...placeOf(call),
          level,
          notes: notes ?? undefined,
          owners: (owners ?? []).flatMap(({ applicationId }) => applicationId ?? []),
        };
        return reply((await locks.put(lock)) ? 201 : 200, lock);
      },
    }),
    managementRoute({
      ...row,
      operation: 'ManagementLocks_DeleteByScope',
      audit: 'LockDelete',
      method: 'DELETE',
      action: 'Microsoft.Authorization/locks/delete',
      async handle(call) {
        const { scope, name } = placeOf(call);
        return { status: (await locks.remove(scope, name)) ? 200 : 204, body: undefined };
      },
    }),
  ];
}

/** With `atScope()`, those of the scope alone; without, those below it, too. */
function listRow(locks: Locks): ManagementRoute {
  return managementRoute({
    operation: 'ManagementLocks_ListByScope',
    audit: 'LockList',
    method: 'GET',
    path,
    provider,
    action: 'Microsoft.Authorization/locks/read',
    async handle(call) {
      const { scope } = placeOf(call);
      const filter = call.query.get('$filter') ?? '';
      if (filter !== '' && filter.trim().toLowerCase() !== 'atscope()')
        throw new Failure('invalidFilter', "The only $filter of locks is 'atScope()'.");
      const all = await locks.list(scope);
      const isAtScope = (lock: Lock) => lock.scope.toLowerCase() === scope.toLowerCase();
      const items = filter === '' ? all : all.filter(isAtScope);
      return listReply(call, {
        list: 'locks',
        items: items.toSorted((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1)),
        keyOf,
        wire: lockWire,
      });
    },
  });
}

function placeOf({ params }: Pick<ManagementCall, 'params'>): { scope: string; name: string } {
  return { scope: params.scope ?? '', name: params.lockName ?? '' };
}

function keyOf(lock: Lock): string {
  return idOf(lock).toLowerCase();
}

function idOf({ scope, name }: Lock): string {
  return `${scope}/providers/Microsoft.Authorization/locks/${name}`;
}

function reply(status: number, lock: Lock) {
  return { status, body: lockWire(lock), id: idOf(lock) };
}

function lockWire(lock: Lock): object {
  const { name, level, notes, owners } = lock;
  return {
    properties: {
      level,
      ...(notes === undefined ? {} : { notes }),
      ...(owners.length === 0 ? {} : { owners: owners.map((applicationId) => ({ applicationId })) }),
    },
    id: idOf(lock),
    type: 'Microsoft.Authorization/locks',
    name,
  };
}
